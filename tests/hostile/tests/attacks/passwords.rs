//! Users and servers that try to be given the password of another.
