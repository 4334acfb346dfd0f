//! Any text as the address of a question, as its filter and as the range of a blob; any bytes as the body of an action and as a list of blocks.
#![no_main]

use entrepot::http::fuzz;
use shared::{Edit, edited};

const TARGET: &str =
    "/data/Groups(dataAreaId='usmf',Name='a%20%27%27b',N=5)?$filter=Name%20eq%20'x'&$select=A,B&$orderby=A desc&$skiptoken=WzEsW10";
const FILTER: &str =
    "Name eq 'customer''s' and (Count ge 10 or not startswith(Name, 'x') eq false) and State ne Microsoft.Dynamics.NoYes'Yes' or A eq null";
const BODY: &str = r#"{"messageId":"a\"b", 'list':['x', 1.5e3, null, true], "n":{"m":"\u00e9"}}"#;
const BLOCKS: &str = "<?xml version=\"1.0\"?>\n<BlockList><Latest>QQ==</Latest><Uncommitted> Qg== </Uncommitted></BlockList>";

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<Edit<'_>>, &[u8])| {
    let (kind, edits, bytes) = input;
    match kind % 6 {
        0 => fuzz::target(&edited(TARGET, &edits)),
        1 => fuzz::question(&edited(FILTER, &edits)),
        2 => fuzz::body(edited(BODY, &edits).as_bytes()),
        3 => fuzz::body(edited(BLOCKS, &edits).as_bytes()),
        4 => fuzz::body(bytes),
        _ => {
            let text = String::from_utf8_lossy(bytes);
            fuzz::target(&text);
            fuzz::question(&text);
        }
    }
});
