//! Many connections to one server, which takes only so many that it does not know yet.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use offshoot_bed::SshdOptions;
use offshoot_ssh::{SshError, Stage};
use tokio::task::JoinSet;

use crate::bench::{Bench, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f50_thirty_connections_get_in_where_the_server_takes_two_at_once() {
    let bench = Bench::new(SshdOptions::default().line("MaxStartups 2"));
    let mut all = JoinSet::new();
    let request = bench.request("ann", "", "");
    for number in 0..30 {
        let mut request = request.clone();
        request.command = format!("echo {number}");
        all.spawn(run(request));
    }
    let mut came = Vec::new();
    while let Some(ran) = all.join_next().await {
        let ran = ran.unwrap().unwrap_or_else(|error| panic!("{error}"));
        came.push(ran.output.trim().parse::<u32>().unwrap());
    }
    came.sort_unstable();
    assert_eq!(came, (0..30).collect::<Vec<_>>());
}

/// A server that says nothing and keeps all connections, and counts those that it has.
fn silent() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, Ordering::SeqCst);
            kept.push(stream);
        }
    });
    (addr, count)
}

#[tokio::test]
async fn f50_eight_wait_at_one_server_and_who_waits_for_a_turn_is_not_out_of_time() {
    let bench = Bench::new(SshdOptions::default());
    let (addr, count) = silent();
    let mut all = JoinSet::new();
    let began = Instant::now();
    let mut request = bench.request_to(addr, "ann", "true", "");
    request.overrides.connect_timeout = Some(Duration::from_secs(1));
    for _ in 0..12 {
        all.spawn(run(request.clone()));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(count.load(Ordering::SeqCst), 8);
    while let Some(ran) = all.join_next().await {
        match ran.unwrap().unwrap_err() {
            SshError::Timeout { stage, .. } => assert_eq!(stage, Stage::Handshake),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(count.load(Ordering::SeqCst), 12);
    assert!(began.elapsed() >= Duration::from_secs(2), "four came later");
}

#[tokio::test]
async fn f50_a_patience_ends_what_waits_for_its_turn_too() {
    let bench = Bench::new(SshdOptions::default());
    let (addr, _count) = silent();
    let mut all = JoinSet::new();
    let mut request = bench.request_to(addr, "ann", "true", "");
    for _ in 0..8 {
        all.spawn(run(request.clone()));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    request.timeout = Some(Duration::from_secs(1));
    match run(request).await.unwrap_err() {
        SshError::Timeout { stage, .. } => assert_eq!(stage, Stage::Connection),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn f50_a_server_that_has_room_later_is_tried_again_and_its_words_are_told_at_last() {
    let bench = Bench::new(SshdOptions::default());
    let real = bench.machine.ssh_addr();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let crowded = Arc::new(AtomicUsize::new(3));
    let left = Arc::clone(&crowded);
    std::thread::spawn(move || {
        for mut near in listener.incoming().map_while(Result::ok) {
            if left.load(Ordering::SeqCst) > 0 {
                left.fetch_sub(1, Ordering::SeqCst);
                let _ = near.write_all(b"Exceeded MaxStartups\r\n");
                continue;
            }
            let far = std::net::TcpStream::connect(real).unwrap();
            let pairs = [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))];
            for (from, to) in pairs {
                let (mut from, mut to) = (from.unwrap(), to.unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    let request = || {
        let mut request = bench.request_to(addr, "ann", "id -un", "StrictHostKeyChecking no");
        request.timeout = Some(Duration::from_secs(10));
        request
    };
    assert_eq!(run(request()).await.unwrap().output, "ann\n");
    crowded.store(usize::MAX, Ordering::SeqCst);
    let mut impatient = request();
    impatient.timeout = Some(Duration::from_secs(1));
    match run(impatient).await.unwrap_err() {
        SshError::Closed { stage, reason, .. } => {
            assert_eq!(
                (stage, reason.as_str()),
                (Stage::Handshake, "Exceeded MaxStartups")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn s098_a_server_slow_to_let_in_is_not_cut_by_the_connect_timeout() {
    let options = SshdOptions::default().line("PasswordAuthentication yes");
    let bench = Bench::new(options);
    // PAM takes three seconds for Bob.
    bench
        .machine
        .sh("sed -i '1i auth optional pam_exec.so quiet /bin/sleep 3' /etc/pam.d/sshd");
    let with = |patience| {
        let mut request = bench.request("bob", "id -un", "IdentityFile none");
        request.password = crate::bench::secret("bob's secret");
        request.overrides.connect_timeout = Some(Duration::from_secs(2));
        request.timeout = patience;
        request
    };
    assert_eq!(run(with(None)).await.unwrap().output, "bob\n");
    match run(with(Some(Duration::from_secs(1)))).await.unwrap_err() {
        SshError::Timeout { stage, after, .. } => {
            assert_eq!(
                (stage, after),
                (Stage::Authentication, Duration::from_secs(1))
            );
        }
        other => panic!("{other:?}"),
    }
}
