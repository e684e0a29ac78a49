//! Completions: what clap makes of the options, and the database that may stand before the command.

use clap::CommandFactory;
use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::args::Arguments;
use crate::help;

/// Completions for a shell. A database, which may stand before the command, is known by its ending and passed over.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let all = Arguments::command();
    let options = all.get_arguments().filter(|a| a.get_id() != "database").cloned();
    let command = clap::Command::new("starquake")
        .disable_help_subcommand(true)
        .args(options)
        .subcommands(all.get_subcommands().cloned());
    let titles: Vec<&str> = help::titles().into_iter().filter(|t| !t.contains(' ')).collect();
    let topics = titles.join(" ");
    let mut command = command.mut_subcommand("help", |help| {
        help.mut_arg("topic", |topic| topic.value_parser(PossibleValuesParser::new(titles)))
    });
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command, "starquake", &mut out);
    let text = String::from_utf8_lossy(&out).into_owned();
    let text = match shell {
        Shell::Bash => text + BASH,
        Shell::Zsh => text.replacen("\n_starquake() {", &format!("{ZSH}_starquake_words() {{"), 1),
        Shell::Fish => {
            text.replacen(FISH_WORDS, &format!("{FISH_WORDS}{FISH_OTHERS}"), 1) + FISH + &fish_help(&topics)
        }
        Shell::PowerShell => {
            let text = text.replacen(POWERSHELL_WORD, &format!("{POWERSHELL_WORD}{POWERSHELL_OTHERS}"), 1);
            text.replacen(POWERSHELL_TOP, &format!("{POWERSHELL_TOP}{POWERSHELL}"), 1)
        }
        Shell::Elvish => {
            let text = text.replacen(ELVISH_WORD, &format!("{ELVISH_WORD}{ELVISH_OTHERS}"), 1);
            text.replacen(ELVISH_TOP, &format!("{ELVISH_TOP}{ELVISH}"), 1)
        }
        _ => text,
    };
    text.into_bytes()
}

const BASH: &str = r#"
# A database may stand before the command.
_starquake_db() {
    local i
    _starquake "$@"
    [[ "$2" == -* || "$3" == -* ]] && return 0
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ "${COMP_WORDS[i]}" == -* ]] || return 0
    done
    while IFS= read -r i; do
        [[ "$i" == *.sqk ]] && COMPREPLY+=("$i")
    done < <(compgen -d -- "$2")
    return 0
}
complete -F _starquake_db -o bashdefault -o default starquake
"#;

const ZSH: &str = r#"
# A database may stand before the command.
_starquake() {
    if (( CURRENT == 2 )) && [[ "$PREFIX" != -* ]]; then
        _files -/ -g '*.sqk(-/)'
    elif (( CURRENT > 2 )) && [[ "${words[2]}" == *.sqk(|/) ]]; then
        words=("${words[1]}" "${(@)words[3,-1]}")
        (( CURRENT-- ))
    fi
    _starquake_words "$@"
}

"#;

const FISH_WORDS: &str = "    set -e cmd[1]\n";
const FISH_OTHERS: &str = "    set cmd (string match -v -r '\\.sqk/?$' -- $cmd)\n";
const FISH: &str = "complete -c starquake -n \"__fish_starquake_needs_command\" -f -a \"(path filter -d *.sqk)\" \
                    -d 'Database'\n\
                    complete -c starquake -n \"__fish_starquake_using_subcommand import fetch\" -f \
                    -a \"waveforms events stations catalog\"\n\
                    complete -c starquake -n \"__fish_starquake_using_subcommand completions\" -f \
                    -a \"bash elvish fish powershell zsh\"\n";

fn fish_help(topics: &str) -> String {
    format!("complete -c starquake -n \"__fish_starquake_using_subcommand help\" -f -a \"{topics}\"\n")
}

const POWERSHELL_WORD: &str = "            $element = $commandElements[$i]\n";
const POWERSHELL_OTHERS: &str = "            if ($element.Extent.Text -like '*.sqk') { continue }\n";
const POWERSHELL_TOP: &str = "        'starquake' {\n";
const POWERSHELL: &str = "            Get-ChildItem -Directory -Filter \"$wordToComplete*.sqk\" | ForEach-Object { \
                          [CompletionResult]::new($_.Name, $_.Name, [CompletionResultType]::ParameterValue, 'Database') }\n";

const ELVISH_WORD: &str = "    for word $words[1..-1] {\n";
const ELVISH_OTHERS: &str = "        if (str:has-suffix $word '.sqk') {\n            continue\n        }\n";
const ELVISH_TOP: &str = "        &'starquake'= {\n";
const ELVISH: &str = "            for database [*[nomatch-ok].sqk] {\n                cand $database 'Database'\n            }\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_knows_databases_commands_and_formats() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            let places = if shell == Shell::Bash || shell == Shell::Zsh { 1 } else { 2 };
            assert!(text.matches(".sqk").count() >= places, "{shell}: databases");
            for word in ["refresh", "bench", "dry-run"] {
                assert!(text.contains(word), "{shell}: {word}");
            }
            let has_formats = ["markdown", "ndjson", "arrows"].iter().all(|f| text.contains(f));
            assert!(has_formats || matches!(shell, Shell::PowerShell | Shell::Elvish), "{shell}: formats");
        }
    }
}
