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
    use std::path::{Path, PathBuf};

    /// Adds the names of all constants without the prefix.
    fn foreign_constants(directory: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).expect("src") {
            let path = entry.expect("src").path();
            if path.is_dir() {
                foreign_constants(&path, names);
                continue;
            }
            for line in std::fs::read_to_string(&path).expect("source").lines() {
                let mut words = line.split_whitespace().skip_while(|word| *word != "const").skip(1);
                let name = words.next().and_then(|word| word.strip_suffix(':'));
                names.extend(name.filter(|name| !name.starts_with("LANEPIPE_")).map(str::to_owned));
            }
        }
    }

    /// Generates the header, over the checked-in one if `LANEPIPE_BLESS` is set. Fails the build if the
    /// checked-in header differs from the generated one.
    pub fn generate() {
        println!("cargo:rerun-if-changed=src");
        println!("cargo:rerun-if-changed=cbindgen.toml");
        println!("cargo:rerun-if-changed=include/lanepipe/lanepipe.h");
        println!("cargo:rerun-if-env-changed=LANEPIPE_BLESS");
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
        let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
        // cbindgen takes every public constant of the crate; those of the floors below `capi` are not for C.
        foreign_constants(&root.join("src"), &mut config.export.exclude);
        let mut text = Vec::new();
        cbindgen::Builder::new().with_crate(&root).with_config(config).generate().expect("cbindgen").write(&mut text);
        // Whatever the header defines belongs to the user's translation unit too.
        let text_lines = String::from_utf8_lossy(&text);
        for line in text_lines.lines().filter(|line| line.starts_with("#define ") && !line.contains(" LANEPIPE_")) {
            println!("cargo:error=a macro of the header lacks the prefix: {line}");
        }
        let checked_in = root.join("include/lanepipe/lanepipe.h");
        if std::env::var_os("LANEPIPE_BLESS").is_some() {
            std::fs::write(&checked_in, &text).expect("write the header");
        } else if std::fs::read(&checked_in).ok().as_deref() != Some(&text[..]) {
            println!("cargo:error=include/lanepipe/lanepipe.h is not what src/capi generates; run `make header`");
        }
    }
}
