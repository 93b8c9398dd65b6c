//! Every misuse is an error that points at the right token and says what to write instead.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
