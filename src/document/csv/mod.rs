//! Delimited text: [`read`] takes it apart record by record, [`mod@write`] puts it together.

pub mod read;
pub mod write;

/// What spreadsheets write into text where a cell holds an error, in English and other languages.
const ERRORS: &str = "#N/A #REF! #VALUE! #DIV/0! #NAME? #NUM! #NULL! #SPILL! #CALC! #NV #BEZUG! #WERT! #ZAHL! #VALEUR! #NOM? #NOMBRE! #N/B #VERW! \
    #WAARDE! #DEEL/0! #NAAM? #GETAL! #N/D #VALOR! #\u{a1}VALOR! #\u{a1}REF! #VALORE! #NOME?";

/// Whether a text is what a spreadsheet writes where a cell holds an error.
pub fn is_error(text: &str) -> bool {
    text.starts_with('#') && ERRORS.split(' ').any(|error| error == text.trim_end())
}
