//! Much data: both ways at once, across new session keys, and against a reader that is slow.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use offshoot_bed::{Machine, SshdOptions};
use offshoot_ssh::{Ended, Request, Session, open};

use crate::bench::Bench;

/// Sends so much through `cat` and compares what comes back.
async fn echo(request: Request, bytes: usize) {
    let Session {
        output,
        input,
        connection,
        ..
    } = open(request).await.unwrap();
    let pattern: Vec<u8> = (0..65_521_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let sent = pattern.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let mut input = File::from(input);
        let mut left = bytes;
        while left > 0 {
            let count = left.min(sent.len());
            input.write_all(&sent[..count]).unwrap();
            left -= count;
        }
    });
    let reading = tokio::task::spawn_blocking(move || {
        let mut output = File::from(output);
        let mut buffer = vec![0; pattern.len()];
        let mut left = bytes;
        while left > 0 {
            let count = left.min(buffer.len());
            output.read_exact(&mut buffer[..count]).unwrap();
            assert!(
                buffer[..count] == pattern[..count],
                "what comes back is what was sent"
            );
            left -= count;
        }
        assert_eq!(output.read(&mut [0]).unwrap(), 0);
    });
    writing.await.unwrap();
    reading.await.unwrap();
    assert_eq!(connection.ended().await, Ended::Exit(0));
}

#[tokio::test]
async fn s091_bulk_both_ways_survives_new_session_keys_of_either_side() {
    let by_server = Bench::new(SshdOptions::default().line("RekeyLimit 2M"));
    echo(by_server.request("ann", "cat", ""), 64 << 20).await;
    let log = by_server.machine.sh("cat /var/log/sshd.log");
    assert!(!log.contains("error"), "{log}");
    let by_us = Bench::new(SshdOptions::default());
    echo(by_us.request("ann", "cat", "RekeyLimit 2M"), 64 << 20).await;
    let both = Bench::new(SshdOptions::default().line("RekeyLimit 3M"));
    echo(both.request("ann", "cat", "RekeyLimit 2M"), 32 << 20).await;
}

#[tokio::test]
async fn b001_bulk_compressed_and_by_each_cipher() {
    let bench = Bench::new(SshdOptions::default());
    echo(bench.request("ann", "cat", "Compression yes"), 8 << 20).await;
    for cipher in [
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
    ] {
        echo(
            bench.request("ann", "cat", &format!("Ciphers {cipher}\nRekeyLimit 1M")),
            4 << 20,
        )
        .await;
    }
}

#[tokio::test]
async fn s091_bulk_with_dropbear_across_new_keys() {
    let bench = Bench::with(Machine::builder().sshd(SshdOptions::default()).dropbear());
    let addr = bench.machine.dropbear_addr();
    bench.knows(&format!(
        "[{}]:{} {}\n",
        addr.ip(),
        addr.port(),
        bench.machine.dropbear_host_key()
    ));
    echo(
        bench.request_to(addr, "ann", "cat", "RekeyLimit 2M"),
        16 << 20,
    )
    .await;
}

#[tokio::test]
async fn f19_a_slow_reader_stops_the_server_and_loses_nothing() {
    let bench = Bench::new(SshdOptions::default());
    let total = 64_u64 << 20;
    let request = bench.request(
        "ann",
        &format!("head -c {total} /dev/zero; echo done >&2"),
        "",
    );
    let Session {
        output,
        errors,
        connection,
        ..
    } = open(request).await.unwrap();
    let before = resident();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = resident().saturating_sub(before);
    assert!(
        grown < 24 << 20,
        "{grown} bytes are kept for a reader that does not read"
    );
    let counted = tokio::task::spawn_blocking(move || {
        std::io::copy(&mut File::from(output), &mut std::io::sink()).unwrap()
    });
    assert_eq!(counted.await.unwrap(), total);
    let said = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        File::from(errors).read_to_string(&mut said).unwrap();
        said
    });
    assert_eq!(said.await.unwrap(), "done\n");
    assert_eq!(connection.ended().await, Ended::Exit(0));
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn f24_a_reader_that_goes_away_ends_the_session() {
    let bench = Bench::new(SshdOptions::default());
    let session = open(bench.request("ann", "cat /dev/zero", ""))
        .await
        .unwrap();
    let Session {
        output, connection, ..
    } = session;
    drop(output);
    let ended = tokio::time::timeout(Duration::from_secs(10), connection.ended()).await;
    assert!(ended.is_ok());
}

/// Not a check: prints how much goes through beside OpenSSH's client. Run it in release.
#[tokio::test]
#[ignore = "a measurement"]
async fn b001_throughput_beside_openssh() {
    const BYTES: usize = 1 << 30;
    let bench = Bench::new(SshdOptions::default());
    let zeros = format!("head -c {BYTES} /dev/zero");
    for round in 0..3 {
        let down = |output: OwnedFd| {
            tokio::task::spawn_blocking(move || {
                let mut file = File::from(output);
                let mut buffer = vec![0; 256 * 1024];
                let mut all = 0;
                while let Ok(count @ 1..) = file.read(&mut buffer) {
                    all += count;
                }
                all
            })
        };
        let up = |input: OwnedFd| {
            tokio::task::spawn_blocking(move || {
                let mut file = File::from(input);
                let buffer = vec![0; 256 * 1024];
                for _ in 0..BYTES / buffer.len() {
                    file.write_all(&buffer).unwrap();
                }
            })
        };
        let rate = |began: Instant| BYTES as f64 / 1e6 / began.elapsed().as_secs_f64();
        let began = Instant::now();
        let session = open(bench.request("ann", &zeros, "")).await.unwrap();
        assert_eq!(down(session.output).await.unwrap(), BYTES);
        let ours_down = rate(began);
        let began = Instant::now();
        let session = open(bench.request("ann", "cat >/dev/null", ""))
            .await
            .unwrap();
        up(session.input).await.unwrap();
        session.connection.ended().await;
        let ours_up = rate(began);
        let spawn = |command: &str| {
            bench
                .machine
                .ssh("ann")
                .arg(command)
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        };
        let began = Instant::now();
        let mut ssh = spawn(&zeros);
        assert_eq!(
            down(ssh.stdout.take().unwrap().into()).await.unwrap(),
            BYTES
        );
        ssh.wait().unwrap();
        let theirs_down = rate(began);
        let began = Instant::now();
        let mut ssh = spawn("cat >/dev/null");
        up(ssh.stdin.take().unwrap().into()).await.unwrap();
        ssh.wait().unwrap();
        let theirs_up = rate(began);
        println!(
            "{round}: down {ours_down:.0} MB/s, ssh {theirs_down:.0}; up {ours_up:.0} MB/s, ssh {theirs_up:.0}"
        );
        let began = Instant::now();
        let session = open(bench.request("ann", "true", "")).await.unwrap();
        session.connection.ended().await;
        let ours = began.elapsed();
        let began = Instant::now();
        spawn("true").wait().unwrap();
        println!("{round}: to run `true` {ours:?}, ssh {:?}", began.elapsed());
    }
}
