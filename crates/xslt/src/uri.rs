//! Joins a reference with the address it stands in (RFC 3986, section 5), for relative paths of files too.

/// The address that `reference` means when it is written in `base`.
pub(crate) fn join(base: &str, reference: &str) -> String {
    if has_scheme(reference) || base.is_empty() {
        return reference.to_owned();
    }
    let base = base.split(['#', '?']).next().unwrap_or_default();
    if reference.is_empty() {
        return base.to_owned();
    }
    let root = authority_end(base);
    if reference.starts_with("//") {
        return format!("{}{reference}", base[..root].split("//").next().unwrap_or_default());
    }
    if reference.starts_with('/') {
        return format!("{}{}", &base[..root], normalise(reference));
    }
    if reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let folder = base[root..].rfind(['/', '\\']).map_or("", |slash| &base[root..=root + slash]);
    format!("{}{}", &base[..root], normalise(&format!("{folder}{reference}")))
}

/// `file:`, `https:` and so on; a single letter is a drive.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// Where the path begins: after `scheme://host`.
fn authority_end(base: &str) -> usize {
    if !has_scheme(base) {
        return 0;
    }
    let colon = base.find(':').unwrap_or(0) + 1;
    match base[colon..].strip_prefix("//") {
        Some(rest) => colon + 2 + rest.find('/').unwrap_or(rest.len()),
        None => colon,
    }
}

/// Removes `.` and `..` segments; a relative path keeps the `..` it cannot resolve.
fn normalise(path: &str) -> String {
    let (path, rest) = match path.find(['?', '#']) {
        Some(at) => path.split_at(at),
        None => (path, ""),
    };
    let absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').collect();
    for (index, &segment) in segments.iter().enumerate() {
        let last = index + 1 == segments.len();
        match segment {
            "." => {
                if last {
                    kept.push("");
                }
            }
            ".." => {
                match kept.last() {
                    Some(&"..") => kept.push(".."),
                    Some(&"") if kept.len() == 1 && absolute => {}
                    Some(_) => {
                        kept.pop();
                    }
                    None if !absolute => kept.push(".."),
                    None => {}
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("{}{rest}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_joined_as_the_rfc_says() {
        for (base, reference, joined) in [
            ("http://a/b/c/d;p?q", "g", "http://a/b/c/g"),
            ("http://a/b/c/d;p?q", "./g", "http://a/b/c/g"),
            ("http://a/b/c/d;p?q", "/g", "http://a/g"),
            ("http://a/b/c/d;p?q", "//g", "http://g"),
            ("http://a/b/c/d;p?q", "..", "http://a/b/"),
            ("http://a/b/c/d;p?q", "../../../g", "http://a/g"),
            ("http://a/b/c/d;p?q", "g?y#s", "http://a/b/c/g?y#s"),
            ("http://a/b/c/d;p?q", "", "http://a/b/c/d;p"),
            ("http://a/b/c/d;p?q", "urn:x", "urn:x"),
            ("/srv/x/main.xsl", "../lib/a.xsl", "/srv/lib/a.xsl"),
            ("main.xsl", "a.xsl", "a.xsl"),
            ("x/main.xsl", "../../a.xsl", "../a.xsl"),
            ("", "a.xsl", "a.xsl"),
            ("file:///a/b.xsl", "c d.xsl", "file:///a/c d.xsl"),
        ] {
            assert_eq!(join(base, reference), joined, "{base} + {reference}");
        }
    }
}
