//! Declares structures and constants, and what the test compares with `data/layouts.json`.

/// A structure as its declaration has it.
#[cfg(test)]
pub(super) struct Struct {
    pub(super) name: &'static str,
    pub(super) size: usize,
    pub(super) align: usize,
    /// Name, offset, size.
    pub(super) fields: &'static [(&'static str, usize, usize)],
}

/// Structures in the C layout. Size, alignment and every offset are checked when they are compiled.
macro_rules! structs {
    ($(
        $(#[$doc:meta])*
        $name:ident: size $size:literal, align $align:tt { $($field:ident: $type:ty = $offset:literal,)* }
    )*) => {
        $(
            $(#[$doc])*
            #[repr(C, align($align))]
            #[derive(Clone, Copy)]
            #[allow(missing_docs, reason = "the C++ runtime's names; the contract of each is its own")]
            pub struct $name { $(pub $field: $type,)* }
            const _: () = {
                assert!(size_of::<$name>() == $size && align_of::<$name>() == $align);
                $(assert!(core::mem::offset_of!($name, $field) == $offset);)*
            };
        )*
        #[cfg(test)]
        pub(super) const STRUCTS: &[super::describe::Struct] = &[$(super::describe::Struct {
            name: stringify!($name),
            size: size_of::<$name>(),
            align: align_of::<$name>(),
            fields: &[$((stringify!($field), core::mem::offset_of!($name, $field), size_of::<$type>()),)*],
        },)*];
    };
}

/// Constants; one whose key in the file is not its name has the key behind it.
macro_rules! constants {
    ($($name:ident: $type:ty = $value:literal $(, $key:literal)?;)*) => {
        $(
            #[allow(missing_docs, reason = "as for structures")]
            pub const $name: $type = $value;
        )*
        #[cfg(test)]
        pub(super) const CONSTANTS: &[(&str, u64)] = &[$(
            (super::describe::key(&[stringify!($name) $(, $key)?]), $value),
        )*];
    };
}

/// The key if there is one, else the name.
#[cfg(test)]
pub(super) const fn key(names: &[&'static str]) -> &'static str {
    names[names.len() - 1]
}

pub(super) use {constants, structs};
