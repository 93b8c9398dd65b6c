//! The cache of compiled images, and whom it does not trust.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::cache::{CacheError, is_of_another};

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn images(&self) -> PathBuf {
        self.0.path().join("images")
    }

    fn secret(&self) -> PathBuf {
        self.0.path().join("state").join("image-key")
    }

    fn open(&self) -> Result<ImageCache, CacheError> {
        ImageCache::open(&self.images(), &self.secret())
    }

    fn cache(&self) -> ImageCache {
        self.open().unwrap()
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.images()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

fn guest(number: u32) -> Vec<u8> {
    let body = format!("{ECHO} (global i32 (i32.const {number}))");
    module(&[("echo", 0)], &body)
}

fn cached(wasm: &[u8], cache: &ImageCache) -> bool {
    compile(wasm, &RUNTIME.target(), Some(cache))
        .unwrap()
        .cached
}

#[test]
fn a_second_compile_is_a_read() {
    let home = Home::new();
    let cache = home.cache();
    let first = compile(&guest(1), &RUNTIME.target(), Some(&cache)).unwrap();
    let second = compile(&guest(1), &RUNTIME.target(), Some(&cache)).unwrap();
    assert!(!first.cached);
    assert!(second.cached);
    assert_eq!(first.hash, second.hash);
    assert_eq!(first.bytes, second.bytes);
    assert!(
        Loader::default()
            .load_image(&second.bytes, &second.hash)
            .is_ok()
    );
}

#[test]
fn each_module_and_target_has_its_own_entry() {
    let home = Home::new();
    let cache = home.cache();
    assert!(!cached(&guest(1), &cache));
    assert!(!cached(&guest(2), &cache));
    let narrow = Target::native(Profile::Narrow);
    assert!(!compile(&guest(1), &narrow, Some(&cache)).unwrap().cached);
    assert_eq!(home.files().len(), 3);
}

#[test]
fn a_damaged_entry_is_made_again() {
    let home = Home::new();
    let cache = home.cache();
    let whole = compile(&guest(1), &RUNTIME.target(), Some(&cache)).unwrap();
    let [file] = &home.files()[..] else {
        panic!("there is one entry");
    };
    let good = fs::read(file).unwrap();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bad in [&b""[..], &good[..20], &good[..good.len() - 1], &flipped] {
        fs::write(file, bad).unwrap();
        let again = compile(&guest(1), &RUNTIME.target(), Some(&cache)).unwrap();
        assert!(!again.cached, "{} bytes", bad.len());
        assert_eq!(again.hash, whole.hash);
        assert!(cached(&guest(1), &cache));
    }
}

#[test]
fn an_entry_under_another_name_is_not_believed() {
    let home = Home::new();
    let cache = home.cache();
    assert!(!cached(&guest(1), &cache));
    let [one] = &home.files()[..] else {
        panic!("there is one entry");
    };
    assert!(!cached(&guest(2), &cache));
    let two = home.files().into_iter().find(|file| file != one).unwrap();
    fs::copy(one, &two).unwrap();
    assert!(!cached(&guest(2), &cache));
}

#[test]
fn an_entry_sealed_without_the_secret_is_not_believed() {
    let home = Home::new();
    let cache = home.cache();
    assert!(!cached(&guest(1), &cache));
    let [file] = &home.files()[..] else {
        panic!("there is one entry");
    };
    let name = file.file_name().unwrap().to_str().unwrap();
    let name = blake3::Hash::from_hex(name).unwrap();
    let evil = image(&guest(2)).bytes;
    // All that is known to who may write here, and nothing else.
    for key in [*name.as_bytes(), [0; 32]] {
        let seal = blake3::keyed_hash(&key, &evil);
        fs::write(file, [&seal.as_bytes()[..], &evil].concat()).unwrap();
        assert!(!cached(&guest(1), &cache));
    }
    // Another user's secret is no better.
    let other = ImageCache::open(&home.images(), &home.0.path().join("other/image-key")).unwrap();
    assert!(!cached(&guest(1), &other));
}

#[test]
fn a_secret_that_others_may_read_is_not_used() {
    let home = Home::new();
    drop(home.cache());
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(home.secret(), fs::Permissions::from_mode(mode)).unwrap();
        let error = home.open().unwrap_err();
        assert!(matches!(error, CacheError::ExposedSecret { .. }), "{error}");
    }
    fs::set_permissions(home.secret(), fs::Permissions::from_mode(0o600)).unwrap();
    let elsewhere = home.0.path().join("elsewhere");
    fs::rename(home.secret(), &elsewhere).unwrap();
    symlink(&elsewhere, home.secret()).unwrap();
    assert!(home.open().is_err());
}

#[test]
fn a_link_in_the_place_of_an_entry_is_not_followed() {
    let home = Home::new();
    let cache = home.cache();
    assert!(!cached(&guest(1), &cache));
    let [file] = &home.files()[..] else {
        panic!("there is one entry");
    };
    let elsewhere = home.0.path().join("elsewhere");
    fs::rename(file, &elsewhere).unwrap();
    symlink(&elsewhere, file).unwrap();
    assert!(!cached(&guest(1), &cache));
    assert!(elsewhere.exists());
}

#[track_caller]
fn check_exposed(path: &Path) {
    let secret = tempfile::tempdir().unwrap();
    let error = ImageCache::open(path, &secret.path().join("image-key")).unwrap_err();
    assert!(matches!(error, CacheError::Exposed { .. }), "{error}");
}

#[test]
fn a_directory_that_others_may_enter_is_not_used() {
    for mode in [0o777, 0o1777, 0o770, 0o755, 0o701] {
        let home = Home::new();
        fs::create_dir(home.images()).unwrap();
        fs::set_permissions(home.images(), fs::Permissions::from_mode(mode)).unwrap();
        check_exposed(&home.images());
    }
}

#[test]
fn a_directory_of_another_user_is_not_used() {
    let home = Home::new();
    drop(home.cache());
    // Only root can give a directory away; others test with one that is root's.
    let foreign = match std::os::unix::fs::chown(home.images(), Some(65534), None) {
        Ok(()) => home.images(),
        Err(_) => PathBuf::from("/usr"),
    };
    check_exposed(&foreign);
}

#[test]
fn a_link_in_the_place_of_the_directory_is_not_followed() {
    let home = Home::new();
    let elsewhere = home.0.path().join("elsewhere");
    drop(ImageCache::open(&elsewhere, &home.secret()).unwrap());
    symlink(&elsewhere, home.images()).unwrap();
    let error = home.open().unwrap_err();
    assert!(matches!(error, CacheError::Io { .. }), "{error}");
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let home = Home::new();
    let cache = home.cache();
    fs::remove_dir(home.images()).unwrap();
    assert!(!cached(&guest(1), &cache));
    assert!(!cached(&guest(1), &cache));
}

#[test]
fn the_oldest_images_go_first() {
    let home = Home::new();
    drop(home.cache());
    let image = image(&guest(1)).bytes.len() as u64;
    let cache =
        ImageCache::open_with(&home.images(), &home.secret(), 2 * image + image / 2).unwrap();
    let age = |file: &Path, seconds| {
        let file = fs::File::options().write(true).open(file).unwrap();
        let time = std::time::SystemTime::now() - Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    };
    assert!(!cached(&guest(1), &cache));
    let first = home.files().remove(0);
    age(&first, 300);
    assert!(!cached(&guest(2), &cache));
    let second = home
        .files()
        .into_iter()
        .find(|file| *file != first)
        .unwrap();
    age(&second, 200);
    // A use makes the first one young again.
    assert!(cached(&guest(1), &cache));
    assert!(!cached(&guest(3), &cache));
    assert!(first.exists());
    assert!(!second.exists());
}

#[test]
fn what_a_crash_left_behind_goes_after_a_while() {
    let home = Home::new();
    let cache = home.cache();
    let (old, young) = (home.images().join("1-1.tmp"), home.images().join("2-2.tmp"));
    fs::write(&old, "half").unwrap();
    fs::write(&young, "half").unwrap();
    let time = std::time::SystemTime::now() - Duration::from_secs(7200);
    let file = fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(time).unwrap();
    assert!(!cached(&guest(1), &cache));
    assert!(!old.exists());
    assert!(young.exists());
}

#[test]
fn nothing_is_made_in_the_home_of_another() {
    let home = Home::new();
    let inside = home.0.path().join("new/home");
    assert!(!is_of_another(&inside));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(home.0.path(), Some(65534), None).unwrap();
        assert!(is_of_another(home.0.path()));
        assert!(is_of_another(&inside));
    }
}
