//! Servers that mean harm, or at least do it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use offshoot_bed::SshdOptions;
use offshoot_ssh::{Algorithm, SshError, open};

use crate::bench::{Bench, run, secret};

/// A server that is a function.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            serve(stream);
        }
    });
    addr
}

async fn meets(bench: &Bench, addr: SocketAddr) -> SshError {
    let mut request = bench.request_to(addr, "ann", "true", "StrictHostKeyChecking no");
    request.overrides.connect_timeout = Some(Duration::from_secs(5));
    request.password = secret("do not leak");
    run(request).await.unwrap_err()
}

#[tokio::test]
async fn t12_garbage_floods_and_huge_lengths_are_named_errors() {
    let bench = Bench::new(SshdOptions::default());
    let id = b"SSH-2.0-Evil\r\n";
    let sent: Vec<Vec<u8>> = vec![
        // A line without end, many lines, a packet of 4 GiB, one of no length, noise.
        vec![b'a'; 4 << 20],
        b"hello\r\n".repeat(1 << 20),
        [&id[..], &[0xff; 64]].concat(),
        [&id[..], &[0; 64]].concat(),
        [&id[..], &[0, 0, 0, 12, 4, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat(),
        [
            &id[..],
            &(0..=255_u8).cycle().take(1 << 20).collect::<Vec<_>>(),
        ]
        .concat(),
    ];
    for (number, bytes) in sent.into_iter().enumerate() {
        let addr = server(move |mut stream| {
            let _ = stream.write_all(&bytes);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
            let _ = stream.read(&mut [0; 4096]);
        });
        let began = Instant::now();
        let error = meets(&bench, addr).await;
        assert!(
            matches!(
                error,
                SshError::Protocol { .. } | SshError::Closed { .. } | SshError::Timeout { .. }
            ),
            "{number}: {error:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(8));
        assert!(!error.to_string().contains("do not leak"));
    }
}

/// A real server's bytes, with one of them changed on the way.
#[tokio::test]
async fn t12_a_byte_changed_on_the_way_never_gets_in() {
    let bench = Bench::new(SshdOptions::default());
    let real = bench.machine.ssh_addr();
    for position in (0..2600).step_by(130) {
        let addr = server(move |near| {
            let far = TcpStream::connect(real).unwrap();
            let (mut up_from, mut up_to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut up_from, &mut up_to);
            });
            let (mut far, mut near) = (far, near);
            std::thread::spawn(move || {
                let mut seen = 0;
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = far.read(&mut buffer) {
                    if (seen..seen + count).contains(&position) {
                        buffer[position - seen] ^= 0x20;
                    }
                    seen += count;
                    if near.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                let _ = near.shutdown(std::net::Shutdown::Both);
            });
        });
        bench.knows("");
        let mut request = bench.request_to(addr, "ann", "true", "StrictHostKeyChecking no");
        request.overrides.connect_timeout = Some(Duration::from_secs(3));
        match open(request).await {
            Err(_) => {}
            // Past the handshake: what was changed is noticed there, or not yet sent.
            Ok(session) => {
                let ended = session.connection.ended().await;
                assert!(position > 1000, "{position}: {ended:?}");
            }
        }
    }
}

#[test]
fn t14_secrets_are_not_printed() {
    let secret = secret("do not leak");
    assert!(!format!("{secret:?}").contains("leak"));
}

#[tokio::test]
async fn t12_nothing_in_common_names_what_either_side_has() {
    let options = SshdOptions::default()
        .line("KexAlgorithms curve25519-sha256,ecdh-sha2-nistp256")
        .line("Ciphers aes256-ctr")
        .line("MACs hmac-sha2-512");
    let bench = Bench::new(options);
    for (line, kind, ours, theirs) in [
        (
            "KexAlgorithms diffie-hellman-group16-sha512",
            Algorithm::KeyExchange,
            "diffie-hellman-group16-sha512",
            "curve25519-sha256,ecdh-sha2-nistp256",
        ),
        (
            "HostKeyAlgorithms rsa-sha2-512",
            Algorithm::HostKey,
            "rsa-sha2-512",
            "ssh-ed25519",
        ),
        (
            "Ciphers aes128-gcm@openssh.com",
            Algorithm::Cipher,
            "aes128-gcm@openssh.com",
            "aes256-ctr",
        ),
        (
            "MACs hmac-sha2-256",
            Algorithm::Mac,
            "hmac-sha2-256",
            "hmac-sha2-512",
        ),
    ] {
        let error = run(bench.request("ann", "true", line)).await.unwrap_err();
        let text = error.to_string();
        match error {
            SshError::NoAlgorithm {
                kind: of,
                ours: we,
                theirs: they,
                ..
            } => assert_eq!(
                (of, we.join(","), they.join(",")),
                (kind, ours.into(), theirs.into())
            ),
            other => panic!("{line}: {other:?}"),
        }
        assert!(
            text.contains(kind.directive()) && text.contains("ssh_path"),
            "{text}"
        );
    }
}
