//! Machines of another kind than this one.

use e2e::with_router;
use offshoot::ConnectError;
use offshoot_bed::{Builder, Machine, SshdOptions, User};

use crate::world::{Door, is_empty, no_litter, refused, start, uid, works};

/// A login shell whose programs may be for ARM: in a namespace of users of its own, the kernel
/// runs those by an emulator, and nobody else's.
const SHELL: &str = r#"#!/bin/sh
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
export rule=":arm:M::$magic:$mask:/usr/bin/qemu-aarch64-static:F" uid=$(id -u) gid=$(id -g)
exec unshare --user --map-root-user --mount /bin/sh -c '
cd /proc/sys/fs/binfmt_misc && mount -t binfmt_misc none . && cd . &&
printf %s "$rule" >/proc/sys/fs/binfmt_misc/register && cd &&
exec unshare --user --map-user=$uid --map-group=$gid /bin/sh "$@"' sh "$@"
"#;

/// A machine that says that it is of that kind, with pi, who can run programs for ARM.
fn of_kind(uname: &str) -> Builder {
    let write =
        |path: &str, text: &str| format!("cat >{path} <<'END'\n{text}END\nchmod 755 {path}\n");
    let says =
        format!("#!/bin/sh\n[ \"$1\" = -sm ] && echo {uname} || exec /bin/uname.own \"$@\"\n");
    Machine::builder()
        .sshd(SshdOptions::default())
        .user(User::new("pi").shell("/usr/local/bin/armsh"))
        .run(&write("/usr/local/bin/armsh", SHELL))
        .run("mv /bin/uname /bin/uname.own")
        .run(&write("/bin/uname", &says))
}

#[cfg(target_arch = "x86_64")]
#[test]
fn f37_a_machine_with_another_processor_gets_a_child_and_images_for_it() {
    let child = std::env::current_exe().unwrap();
    let child = child.with_file_name("offshoot-child-aarch64-linux");
    if !child.is_file() {
        // It takes a cross compiler and an emulator, which only root can install.
        eprintln!("not tried: run `cargo xtask child aarch64 --quick`, as `cargo xtask test` does");
        return;
    }
    let machine = start(&of_kind("Linux aarch64"));
    let door = Door::to(&machine);
    with_router(async |router| {
        for _ in ["cold", "warm"] {
            let pi = door.ssh(&router, "pi").await.unwrap();
            works(&pi).await;
            assert_eq!(uid(&pi).await, 1000);
            let cached = machine.sh("od -An -tx1 -j 18 -N 2 /home/pi/.cache/offshoot/*");
            assert_eq!(cached, "b7 00", "one program for that processor");
        }
    });
    is_empty(&machine);
    no_litter(&machine);
}

#[test]
fn f37_a_machine_that_there_is_no_child_for_is_refused_by_name() {
    let machine = start(&of_kind("Linux riscv64"));
    let door = Door::to(&machine);
    with_router(async |router| {
        let error = refused(door.ssh(&router, "pi").await);
        let text = error.to_string();
        let ConnectError::UnsupportedPlatform { uname, offered } = error else {
            panic!("{error:?}");
        };
        assert_eq!(uname, "Linux riscv64");
        let own = format!("Linux {}", std::env::consts::ARCH);
        assert_eq!(offered.first(), Some(&own));
        assert!(text.contains(&own) && text.contains("child_path"), "{text}");
    });
    is_empty(&machine);
}
