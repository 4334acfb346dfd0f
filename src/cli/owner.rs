//! Who owns a file or a folder on Windows, for which the standard library has no call. One `unsafe` call, with its proof; what it gives is read in safe
//! code.

use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;

use windows_sys::Win32::Security::{GetKernelObjectSecurity, OWNER_SECURITY_INFORMATION};

/// The right to read who owns it, and no other.
const READ_CONTROL: u32 = 0x0002_0000;
/// Opens folders, too.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// Opens a link, and not what it leads to.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
/// 20 bytes of a descriptor and at most 68 of an account's number, in words of four bytes.
const WORDS: usize = 32;

/// The number of the account that owns what is at `path`, as `S-1-5-18`; of a link, its own.
#[allow(unsafe_code)]
pub fn owner(path: &Path) -> io::Result<String> {
    let file = std::fs::OpenOptions::new()
        .access_mode(READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path)?;
    let mut words = [0u32; WORDS];
    let mut needed = 0;
    // SAFETY: the handle is open until the end of this function, where `file` goes. `words` is writable, aligned to four bytes, and exactly as long as
    // the call is told, which writes no more than that, or nothing, and keeps no pointer. `needed` is a number of ours.
    let read = unsafe {
        GetKernelObjectSecurity(
            file.as_raw_handle(),
            OWNER_SECURITY_INFORMATION,
            words.as_mut_ptr().cast(),
            size_of_val(&words) as u32,
            &mut needed,
        )
    };
    if read == 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    account(&bytes).ok_or_else(|| io::Error::other("it has no owner"))
}

/// The owner in a self-relative security descriptor ([MS-DTYP] 2.4.6): its place stands at 4; an account's number (2.4.2) is a revision, how many parts
/// it has, six bytes of authority with the highest first, and the parts.
fn account(descriptor: &[u8]) -> Option<String> {
    let number = |at: usize| Some(u32::from_le_bytes(descriptor.get(at..at + 4)?.try_into().ok()?));
    let at = usize::try_from(number(4)?).ok().filter(|at| *at != 0)?;
    let [revision, parts, authority @ ..] = descriptor.get(at..at + 8)? else { return None };
    let authority = authority.iter().fold(0u64, |high, low| high << 8 | u64::from(*low));
    (0..usize::from(*parts))
        .try_fold(format!("S-{revision}-{authority}"), |text, part| Some(format!("{text}-{}", number(at + 8 + 4 * part)?)))
}
