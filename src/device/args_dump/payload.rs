//! Contents of a tensor: its elements in row-major order.

use super::DIMS;
use crate::layout::runtime::common::ArgsDumpInfo;
use crate::layout::runtime::constants::DATA_TYPE_SIZES;

/// Bytes of an element; 1 for an unknown type.
pub(super) fn element_size(info: &ArgsDumpInfo) -> u64 {
    u64::from(DATA_TYPE_SIZES.get(usize::from(info.dtype)).copied().unwrap_or(1))
}

fn dims(info: &ArgsDumpInfo) -> usize {
    usize::from(info.ndims).min(DIMS)
}

/// Bytes of all elements; a tensor without dimensions has one.
pub(super) fn size(info: &ArgsDumpInfo) -> u64 {
    let shape = info.shapes.iter().take(dims(info));
    shape.fold(element_size(info), |size, extent| size.saturating_mul(u64::from(*extent)))
}

/// Whether the elements lie one behind the other.
pub(super) fn is_contiguous(info: &ArgsDumpInfo) -> bool {
    let mut wanted = 1u64;
    let dims = info.shapes.iter().zip(&info.strides).take(dims(info)).rev();
    for (extent, stride) in dims {
        if *extent != 1 && u64::from(*stride) != wanted {
            return false;
        }
        wanted = wanted.saturating_mul(u64::from(*extent));
    }
    true
}

/// Copies the first `size` bytes of the contents to `to`. `size` is at most [`size()`].
///
/// # Safety
///
/// `to` is writable for `size` bytes; the elements are readable and lie elsewhere.
pub(super) unsafe fn copy(info: &ArgsDumpInfo, to: *mut u8, size: u64) {
    let element = element_size(info) as usize;
    let first = (info.buffer_addr as usize).wrapping_add((info.start_offset as usize).wrapping_mul(element));
    let source = |bytes: usize| core::ptr::with_exposed_provenance::<u8>(first.wrapping_add(bytes));
    let size = size as usize;
    if is_contiguous(info) {
        // SAFETY: the caller's contract.
        unsafe { core::ptr::copy_nonoverlapping(source(0), to, size) };
        return;
    }
    let (mut position, mut done) = ([0u32; DIMS], 0);
    while done < size {
        let offset = position
            .iter()
            .zip(&info.strides)
            .fold(0usize, |offset, (at, stride)| offset.wrapping_add((*at as usize).wrapping_mul(*stride as usize)));
        let piece = element.min(size - done);
        // SAFETY: the caller's contract; `piece` does not go beyond `size`.
        unsafe { core::ptr::copy_nonoverlapping(source(offset.wrapping_mul(element)), to.wrapping_add(done), piece) };
        done += piece;
        for (at, extent) in position.iter_mut().zip(&info.shapes).take(dims(info)).rev() {
            *at += 1;
            if *at < *extent {
                break;
            }
            *at = 0;
        }
    }
}
