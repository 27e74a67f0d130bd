"""The command line, `mainspring VERB`: one file for each small family of verbs, loaded when it is used.

`root` knows the verbs and turns errors into messages and exit codes; `verb` is what all verbs have in common;
`session` finds the store; `terminal` writes. The rest are the verbs.
"""

from mainspring.cli.root import main as main
