//! Versions.

use core::ffi::c_char;

/// Version of the binary interface. Grows with every change that breaks a caller compiled earlier; it is the number in
/// the shared library's SONAME.
pub const LANEPIPE_ABI_VERSION: u32 = 0;

/// The library's `LANEPIPE_ABI_VERSION`. Any thread, never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn lanepipe_abi_version() -> u32 {
    LANEPIPE_ABI_VERSION
}

/// The library's version, "major.minor.patch". A static string. Any thread, never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn lanepipe_version() -> *const c_char {
    const VERSION: &core::ffi::CStr =
        match core::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

// The SONAME that build.rs writes and the constant in the header are one number.
const _: () = assert!(parse(env!("LANEPIPE_SONAME_ABI")) == LANEPIPE_ABI_VERSION);

const fn parse(digits: &str) -> u32 {
    let bytes = digits.as_bytes();
    let mut value = 0;
    let mut i = 0;
    while i < bytes.len() {
        value = value * 10 + (bytes[i] - b'0') as u32;
        i += 1;
    }
    value
}
