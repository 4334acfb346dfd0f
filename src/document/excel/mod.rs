//! Workbooks of Excel: .xlsx read cell by cell and written row by row; .ods and, where the format allows it, .xls read too.

pub mod read;
pub mod write;
