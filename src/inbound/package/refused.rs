//! The refused rows of a package, as a package that the same job takes: manifest and header as they came, and beside them the files of refused rows under
//! the names that the manifest has for their entities. An entity that was refused as a whole, or not run, is in it as it was sent: nothing of it is
//! loaded yet. The others have no file, and are passed over, and so is what is damaged in the package: it cannot be read.

use std::io::{self, Read, Seek, SeekFrom, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::find;
use crate::document::package::archive::{Archive, DocumentFault, Opened};
use crate::document::package::{HEADER, MANIFEST};
use crate::files::{PayloadWindow, Scratch, Spool};
use crate::model::execution::{EntityOutcome, EntityRun};
use crate::model::project::Project;

/// Whether an entity is in it.
pub fn comes_back(run: &EntityRun) -> bool {
    run.refused_file.is_some() || matches!(run.outcome, EntityOutcome::Refused | EntityOutcome::Skipped)
}

/// Writes it; returns its bytes, from their beginning, and how many they are.
pub fn write(project: &Project, payload: PayloadWindow, size: u64, runs: &[EntityRun], spool: &Spool) -> io::Result<(Scratch, u64)> {
    let Opened::Package(mut archive, manifest) = Archive::open(payload, size)? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the package cannot be opened"));
    };
    let mut scratch = spool.scratch()?;
    let mut zip = ZipWriter::new(io::BufWriter::new(&mut scratch));
    for index in [MANIFEST, HEADER].into_iter().filter_map(|name| archive.find(name)).collect::<Vec<_>>() {
        let name = archive.name(index).to_owned();
        add(&mut zip, &name, &mut archive.document(index)?)?;
    }
    for entity in manifest.entities.iter().filter(|entity| !entity.disabled && !entity.file.is_empty()) {
        let label = find(project, entity).map_or(&entity.name, |known| &known.entity.name);
        let Some(run) = runs.iter().find(|run| run.entity == *label) else { continue };
        let Some(index) = archive.find(&entity.file) else { continue };
        let name = archive.name(index).to_owned();
        match &run.refused_file {
            Some(file) => add(&mut zip, &name, &mut spool.open_refused(file)?.0)?,
            None if comes_back(run) => add(&mut zip, &name, &mut archive.document(index)?)?,
            None => {}
        }
    }
    zip.finish()?.flush()?;
    let size = scratch.seek(SeekFrom::End(0))?;
    scratch.rewind()?;
    Ok((scratch, size))
}

fn add(zip: &mut ZipWriter<impl Write + Seek>, name: &str, document: &mut impl Read) -> io::Result<()> {
    zip.start_file(name, SimpleFileOptions::default().large_file(true))?;
    match io::copy(document, zip) {
        Err(error) if DocumentFault::of(&error).is_some() => Ok(zip.abort_file()?),
        copied => copied.map(|_| ()),
    }
}
