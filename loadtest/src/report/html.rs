//! The page around the figures: style, tables, and the data.
//!
//! **Architecture invariant:** nothing is fetched. Colours are those of Okabe and Ito, which people
//! who see few colours tell apart; dark pages have lighter ones.

use std::fmt::Write;

use super::svg::escaped;
use super::{Page, Section, Table};
use crate::Failure;

const STYLE: &str = include_str!("style.css");

/// Shows the data where it is asked for: it stands in the page once.
const SCRIPT: &str = "document.getElementById('all').addEventListener('toggle',e=>{\
const p=e.target.querySelector('pre');if(!p.textContent)p.textContent=JSON.stringify(\
JSON.parse(document.getElementById('data').textContent),null,1)});";

/// The whole file.
pub(super) fn page(page: &Page) -> Result<String, Failure> {
    let title = escaped(&page.title);
    let mut text = String::new();
    write!(
        text,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>\n<h1>{title}</h1>\n<p class=\"summary\">{}</p>\n",
        escaped(&page.summary)
    )?;
    if !page.facts.is_empty() {
        text.push_str("<dl class=\"facts\">");
        for (name, value) in &page.facts {
            write!(text, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(name), escaped(value))?;
        }
        text.push_str("</dl>\n");
    }
    for section in &page.sections {
        text.push_str(&described(section));
    }
    text.push_str("<section><h2>Conditions</h2>");
    text.push_str(&pairs(&page.conditions));
    text.push_str("</section>\n<details id=\"all\"><summary>All figures, as JSON</summary><pre></pre></details>\n");
    // No end of a script can be in it, and it is JSON still.
    let data = serde_json::to_string(&page.data)?.replace('<', "\\u003c");
    write!(
        text,
        "</main>\n<script type=\"application/json\" id=\"data\">{data}</script>\n<script>{SCRIPT}</script>\n</body></html>\n"
    )?;
    Ok(text)
}

fn described(section: &Section) -> String {
    format!(
        "<section><h2>{}</h2><p>{}</p>{}</section>\n",
        escaped(&section.title),
        escaped(&section.text),
        section.figure.draw()
    )
}

/// A table of cells.
pub(super) fn table(table: &Table) -> String {
    let row = |cells: &[String], kind: &str| {
        let cells = cells.iter().map(|cell| format!("<{kind}>{}</{kind}>", escaped(cell)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let rows: String = table.rows.iter().map(|cells| row(cells, "td")).collect();
    format!(
        "<div class=\"wide\"><table><thead>{}</thead><tbody>{rows}</tbody></table></div>",
        row(&table.head, "th")
    )
}

fn pairs(pairs: &[(String, String)]) -> String {
    let row = |(name, value): &(String, String)| {
        format!("<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value))
    };
    let rows: String = pairs.iter().map(row).collect();
    format!("<div class=\"wide\"><table class=\"pairs\"><tbody>{rows}</tbody></table></div>")
}
