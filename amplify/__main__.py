"""`python -m amplify` is the command `amplify`."""

from amplify.cli import main

main()
