//! Ways not to get a connection, and to lose one.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use offshoot_bed::{SshdOptions, Trouble, Weather};
use offshoot_ssh::{Ended, Session, SshError, Stage, open};

use crate::bench::{Bench, finish, run};

fn plain() -> Bench {
    Bench::new(SshdOptions::default())
}

#[tokio::test]
async fn f50_refused() {
    let bench = plain();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = run(bench.request_to(port, "ann", "true", ""))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SshError::Refused { address } if *address == port.to_string()),
        "{error:?}"
    );
}

#[tokio::test]
async fn f50_no_such_host() {
    let bench = plain();
    let mut request = bench.request("ann", "true", "");
    request.host = "no-such-host.invalid".to_owned();
    let error = run(request).await.unwrap_err();
    assert!(
        matches!(&error, SshError::NameResolution { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("no-such-host.invalid"));
}

#[tokio::test]
async fn f50_a_server_that_says_nothing_is_left_in_time() {
    let bench = plain();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut request = bench.request_to(silent.local_addr().unwrap(), "ann", "true", "");
    request.overrides.connect_timeout = Some(Duration::from_secs(1));
    let began = Instant::now();
    match run(request).await.unwrap_err() {
        SshError::Timeout { stage, after, .. } => {
            assert_eq!((stage, after), (Stage::Handshake, Duration::from_secs(1)));
        }
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn f50_a_server_that_hangs_up_or_is_none() {
    let bench = plain();
    for (said, want) in [
        ("", "closed the connection before the handshake"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.write_all(said.as_bytes());
            }
        });
        let mut request = bench.request_to(addr, "ann", "true", "");
        request.timeout = Some(Duration::from_secs(2));
        let error = run(request).await.unwrap_err();
        assert!(
            matches!(error, SshError::Closed { .. } | SshError::Protocol { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[tokio::test]
async fn f50_a_connection_that_freezes_or_is_cut_at_any_point_ends_with_a_named_error() {
    let bench = plain();
    for after in [0, 20, 100, 1000, 1500, 2000, 2500] {
        for down in [Trouble::FreezeAfter(after), Trouble::CutAfter(after)] {
            let door = bench.machine.ssh_through(Weather {
                down,
                ..Weather::default()
            });
            bench.knows("");
            let lines = "StrictHostKeyChecking accept-new";
            let mut request = bench.request_to(door.addr(), "ann", "true", lines);
            request.timeout = Some(Duration::from_secs(2));
            let error = match run(request).await {
                Ok(ran) if matches!(ran.ended, Ended::Lost(_)) => continue,
                // All there was to say is shorter than that.
                Ok(ran) if after == 2500 && ran.ended == Ended::Exit(0) => continue,
                Ok(ran) => panic!("{down:?}: {ran:?}"),
                Err(error) => error,
            };
            let named = match down {
                Trouble::FreezeAfter(_) => matches!(error, SshError::Timeout { .. }),
                _ => matches!(
                    error,
                    SshError::Closed { .. } | SshError::AuthRefused { .. }
                ),
            };
            assert!(named, "{down:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn b001_a_server_that_falls_silent_is_declared_lost() {
    let bench = plain();
    let door = bench.machine.ssh_through(Weather {
        down: Trouble::FreezeAfter(20_000),
        ..Weather::default()
    });
    bench.knows("");
    let lines = "StrictHostKeyChecking accept-new\nServerAliveInterval 1\nServerAliveCountMax 2";
    let request = bench.request_to(
        door.addr(),
        "ann",
        "head -c 40000 /dev/zero; sleep 100",
        lines,
    );
    let began = Instant::now();
    let ran = finish(open(request).await.unwrap()).await;
    match ran.ended {
        Ended::Lost(reason) => assert!(reason.contains("not answered"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn f1_the_session_ends_with_its_guard_and_with_the_server() {
    let bench = plain();
    let session = open(bench.request("ann", "echo up; exec sleep 1000", ""))
        .await
        .unwrap();
    let Session {
        connection,
        input,
        output,
        ..
    } = session;
    wait_until(&bench, "1").await;
    drop(connection);
    wait_until(&bench, "0").await;
    drop((input, output));
    let session = open(bench.request("ann", "exec sleep 1000", ""))
        .await
        .unwrap();
    wait_until(&bench, "1").await;
    bench
        .machine
        .sh("pkill -9 -u ann sshd; pkill -u ann sleep || :");
    let ran = finish(session).await;
    assert!(
        matches!(ran.ended, Ended::Lost(_) | Ended::Closed),
        "{ran:?}"
    );
}

/// Waits for so many sessions of Ann's.
async fn wait_until(bench: &Bench, count: &str) {
    for _ in 0..200 {
        if bench.machine.sh("pgrep -c -u ann sshd || :") == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{}", bench.machine.sh("ps -ef"));
}

#[tokio::test]
async fn f50_a_request_that_is_dropped_leaves_no_session() {
    let bench = plain();
    let request = bench.request("ann", "exec sleep 1000", "");
    for milliseconds in [1, 10, 30, 60, 100, 150] {
        let opening = open(request.clone());
        drop(tokio::time::timeout(Duration::from_millis(milliseconds), opening).await);
    }
    wait_until(&bench, "0").await;
}
