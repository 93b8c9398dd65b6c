//! The standard error of a child or a tool: logged line by line while it runs, quoted in an error
//! once it has ended.

use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use tokio::io::Interest;

use crate::async_fd::watched;
use crate::driver::Driver;
use crate::text::{Lines, clean};

/// Bytes of an ended program's last words that are worth showing.
const LAST_WORDS_MAX: usize = 2 * 1024;

/// Logs what a child prints on its standard error, line by line.
pub(super) fn follow_errors(driver: &Arc<Driver>, errors: PipeReader, context: Arc<str>) {
    let errors = OwnedFd::from(errors);
    if rustix::io::ioctl_fionbio(&errors, true).is_err() {
        return;
    }
    let Ok(errors) = watched(errors, Interest::READABLE) else {
        return;
    };
    let weak = driver.weak();
    driver.spawn_background(async move {
        let mut lines = Lines::default();
        let mut buffer = [0; 1024];
        loop {
            let Ok(mut ready) = errors.readable().await else {
                return;
            };
            let ended = match rustix::io::read(errors.get_ref(), &mut buffer) {
                Err(Errno::AGAIN) => {
                    ready.clear_ready();
                    continue;
                }
                Err(Errno::INTR) => continue,
                Ok(0) | Err(_) => {
                    lines.push(b"\n");
                    true
                }
                Ok(count) => {
                    lines.push(&buffer[..count]);
                    false
                }
            };
            while let Some(line) = lines.next() {
                let Some(driver) = weak.upgrade() else {
                    return;
                };
                driver.log_child_line(&context, &line);
            }
            if ended {
                return;
            }
        }
    });
}

/// What an ended program printed last, if it comes at once.
pub(super) fn last_words(mut errors: PipeReader) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    if rustix::io::ioctl_fionbio(&errors, true).is_ok() {
        while let Ok(count) = errors.read(&mut buffer)
            && count > 0
            && text.len() < LAST_WORDS_MAX
        {
            text.extend_from_slice(&buffer[..count]);
        }
    }
    clean(&String::from_utf8_lossy(&text))
}
