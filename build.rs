//! Writes the shared library's SONAME and, with feature `header`, the C header.

const ABI: u32 = 0;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=LANEPIPE_SONAME_ABI={ABI}");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,liblanepipe.so.{ABI}");
    }
    #[cfg(feature = "header")]
    header::generate();
}

#[cfg(feature = "header")]
mod header {
    use std::path::PathBuf;

    /// Generates the header into OUT_DIR, and over the checked-in one if `LANEPIPE_BLESS` is set. Fails the build if the
    /// checked-in header differs from the generated one.
    pub fn generate() {
        println!("cargo:rerun-if-changed=src");
        println!("cargo:rerun-if-changed=cbindgen.toml");
        println!("cargo:rerun-if-changed=include/lanepipe/lanepipe.h");
        println!("cargo:rerun-if-env-changed=LANEPIPE_BLESS");
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
        let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
        let mut text = Vec::new();
        cbindgen::Builder::new()
            .with_crate(&root)
            .with_config(config)
            .generate()
            .expect("cbindgen")
            .write(&mut text);
        let checked_in = root.join("include/lanepipe/lanepipe.h");
        if std::env::var_os("LANEPIPE_BLESS").is_some() {
            std::fs::write(&checked_in, &text).expect("write the header");
        } else if std::fs::read(&checked_in).ok().as_deref() != Some(&text[..]) {
            println!("cargo:error=include/lanepipe/lanepipe.h is not what src/capi generates; run `make header`");
        }
    }
}
