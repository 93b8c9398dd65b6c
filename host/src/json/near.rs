//! Names that someone may have meant.

/// Suggestions in one message at most.
const SUGGESTIONS_MAX: usize = 3;
/// Characters of a name that we compare; a longer one is not a typing mistake.
const LENGTH_MAX: usize = 64;

/// The candidates that are nearest to `name`, best first; hyphens equal underscores.
pub fn near<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = folded(name);
    if name.len() > LENGTH_MAX {
        return Vec::new();
    }
    // One slip in three characters is a typing mistake; more is another word.
    let tolerance = name.len().div_ceil(3).max(1);
    let mut ranked: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let folded = folded(candidate);
            if folded.len() > LENGTH_MAX {
                return None;
            }
            // A name typed in part is a good guess too, but a worse one than a slip.
            let part = name.len() >= 3 && (contains(&folded, &name) || contains(&name, &folded));
            let distance = distance(&name, &folded);
            let near = distance <= tolerance && distance < name.len().max(folded.len());
            (near || part).then_some((distance, candidate))
        })
        .collect();
    ranked.sort();
    ranked.dedup();
    ranked.truncate(SUGGESTIONS_MAX);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

fn folded(name: &str) -> Vec<char> {
    let fold = |c| if c == '-' { '_' } else { c };
    name.chars()
        .flat_map(char::to_lowercase)
        .map(fold)
        .collect()
}

fn contains(whole: &[char], part: &[char]) -> bool {
    part.len() >= 3 && whole.windows(part.len()).any(|window| window == part)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, candidates: &[&str], want: &[&str]) {
        assert_eq!(near(name, candidates.iter().copied()), want);
    }

    #[test]
    fn slips_are_found_best_first() {
        check("uptmie", &["memory", "uptime", "users"], &["uptime"]);
        check("mont", &["mounts", "mount", "load"], &["mount", "mounts"]);
        check(
            "disk_free",
            &["Disk::free", "disk-free"],
            &["disk-free", "Disk::free"],
        );
    }

    #[test]
    fn a_part_of_a_name_is_found() {
        check(
            "interfaces",
            &["network_interfaces", "users"],
            &["network_interfaces"],
        );
    }

    #[test]
    fn other_words_are_not() {
        check("kernel", &["users", "load"], &[]);
        check("x", &["y"], &[]);
        check("", &["a"], &[]);
    }
}
