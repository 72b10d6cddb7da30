#!/bin/sh
# Shows on the installer's screen why it does not touch a disk, and waits.
logger -t hackspace "$1"
debconf-loadtemplate hackspace "${HERE:-/hackspace}/refusal.templates"
. /usr/share/debconf/confmodule
db_subst hackspace/refusal REASON "$(echo "$1" | tr '\n' ';')"
db_fset hackspace/refusal seen false
db_input critical hackspace/refusal || true
db_go || true
