//! Which indexes a plan uses: a part of the footer of an answer.

use super::plan::{Node, Plan};

/// `block minima and maxima of optical`, each once; empty where everything is read.
pub fn used(node: &Node) -> Vec<String> {
    let mut found = vec![];
    collect(node, &mut found);
    found
}

fn collect(node: &Node, found: &mut Vec<String>) {
    let mut add = |line: String| {
        if !found.contains(&line) {
            found.push(line);
        }
    };
    match &node.plan {
        Plan::Scan(scan) => {
            if scan.region.is_some() {
                add(format!("HEALPix cells of {}", scan.table));
            }
            if scan.table == "segments" {
                if !scan.channels.is_empty() || !scan.ranges.is_empty() {
                    add("channels and times of segments".to_owned());
                }
            } else if !scan.ranges.is_empty() {
                add(format!("block minima and maxima of {}", scan.table));
            }
        }
        Plan::Match(_) => add("HEALPix order of both sides".to_owned()),
        Plan::Gaps { .. } | Plan::Coverage { .. } => add("time of each channel".to_owned()),
        Plan::Pairs { .. } | Plan::Correlate { .. } => add("k-d tree of hypocentres".to_owned()),
        _ => {}
    }
    node.plan.inputs().into_iter().for_each(|input| collect(input, found));
}
