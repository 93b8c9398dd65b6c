offshoot_guest::wants! {
    "read:proc" = "the path is relative",
    "exec:/bin/sh" = "there is no such grant",
    "read:/etc" = "this one is fine",
    "env:" = "which one?",
}

offshoot_guest::wants! { "read:/proc" }

offshoot_guest::wants! { read = "quotes are missing" }

fn main() {}
