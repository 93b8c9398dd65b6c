//! The functions on real trees.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

fn sample() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("a/deep")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("a/deep/file"), b"deep").unwrap();
    fs::write(root.join("a/z"), b"z").unwrap();
    fs::write(root.join("a-b"), b"before a/").unwrap();
    fs::write(root.join("a\\n"), b"backslash").unwrap();
    fs::write(root.join("b"), b"").unwrap();
    let path = root.to_str().unwrap().to_owned();
    (directory, path)
}

fn names(listing: &Listing) -> Vec<&str> {
    listing
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect()
}

#[test]
fn a_tree_counts_what_it_holds() {
    let (_directory, path) = sample();
    let report = tree(path, Algorithm::Blake3).unwrap();
    assert_eq!((report.files, report.directories), (5, 4));
    assert_eq!(report.bytes, 23);
    assert_eq!((report.links, report.skipped_count), (0, 0));
}

#[test]
fn files_come_in_the_order_of_their_bytes() {
    let (_directory, path) = sample();
    let all = files(path.clone(), Algorithm::Xxh3, 100).unwrap();
    assert_eq!(names(&all), ["a-b", "a/deep/file", "a/z", "a\\n", "b"]);
    assert!(all.complete);

    let exactly = files(path.clone(), Algorithm::Xxh3, 5).unwrap();
    assert!(exactly.complete, "a limit that is just enough");

    let some = files(path, Algorithm::Xxh3, 2).unwrap();
    assert_eq!(names(&some), ["a-b", "a/deep/file"]);
    assert!(!some.complete);
}

#[test]
#[cfg(target_os = "linux")]
fn coreutils_agree() {
    let (_directory, path) = sample();
    let report = tree(path.clone(), Algorithm::Sha256).unwrap();
    let script = "find * -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum";
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .current_dir(path)
        .output()
        .expect("a shell");
    let expected = String::from_utf8(output.stdout).unwrap();
    assert_eq!(report.digest, expected.trim_end_matches(['-', ' ', '\n']));
}

#[test]
fn a_digest_tells_names_and_contents_apart() {
    let (directory, path) = sample();
    let digest = || tree(path.clone(), Algorithm::Blake3).unwrap().digest;
    let root = directory.path();

    let before = digest();
    assert_eq!(before, digest());
    fs::write(root.join("b"), b"x").unwrap();
    let changed = digest();
    assert_ne!(before, changed);
    fs::rename(root.join("b"), root.join("c")).unwrap();
    assert_ne!(changed, digest());
}

#[test]
fn one_file() {
    let (_directory, path) = sample();
    let name = format!("{path}/a-b");
    let one = file(name.clone(), Algorithm::Blake3).unwrap();
    assert_eq!((one.path, one.bytes), (name, 9));

    let error = file(path.clone(), Algorithm::Blake3).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
    let error = tree(format!("{path}/a-b"), Algorithm::Blake3).unwrap_err();
    assert!(matches!(error, Error::NotADirectory { .. }), "{error}");
    let error = file(format!("{path}/gone"), Algorithm::Blake3).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
}

#[test]
#[cfg(unix)]
fn links_are_counted_and_special_files_left_alone() {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    let (directory, path) = sample();
    let root = directory.path();
    let before = tree(path.clone(), Algorithm::Blake3).unwrap();
    symlink(root, root.join("loop")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    let _socket = UnixListener::bind(root.join("socket")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("fifo"))
        .status();
    assert!(made.expect("mkfifo").success());

    let after = tree(path, Algorithm::Blake3).unwrap();
    assert_eq!(after.links, 2);
    assert_eq!(after.digest, before.digest);
    let skipped: Vec<_> = after
        .skipped
        .iter()
        .map(|skipped| skipped.path.as_str())
        .collect();
    assert_eq!(after.skipped_count, 2);
    assert!(
        skipped.contains(&"socket") && skipped.contains(&"fifo"),
        "{skipped:?}"
    );
}

#[test]
#[cfg(unix)]
fn a_name_that_is_not_utf8_is_hashed_as_its_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let digest = |name: &[u8]| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(OsStr::from_bytes(name)), b"").unwrap();
        let path = directory.path().to_str().unwrap().to_owned();
        tree(path, Algorithm::Blake3).unwrap().digest
    };
    assert_ne!(digest(b"\xff"), digest(b"\xfe"), "both are shown alike");
}

#[test]
fn a_deep_tree_needs_no_deep_stack() {
    let directory = tempfile::tempdir().unwrap();
    let mut path = PathBuf::from(directory.path());
    for _ in 0..1500 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("f"), b"bottom").unwrap();

    let root = directory.path().to_str().unwrap().to_owned();
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let walk = thread.spawn(move || tree(root, Algorithm::Xxh3)).unwrap();
    let report = walk.join().expect("no overflow").unwrap();
    assert_eq!((report.files, report.directories), (1, 1501));
}
