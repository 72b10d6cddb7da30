#!/bin/sh
# Calls POST /unseal of each helper until the nodes are open or two minutes are over.
# UNSEALERS: their addresses, separated by spaces. The token comes from a file, never by argument:
# arguments can be read by every user of the machine.
set -eu
: "${UNSEALERS:?the addresses of the helpers, such as http://10.0.0.7:8082}"
token_file=${TOKEN_FILE:-${CREDENTIALS_DIRECTORY:?}/wake-token}
seconds=${SECONDS_TO_TRY:-120}
end=$(($(date +%s) + seconds))
while :; do
  for url in $UNSEALERS; do
    answer=$(printf 'header = "Authorization: Bearer %s"\n' "$(cat "$token_file")" |
      curl --config - --silent --show-error --fail --max-time 10 --max-filesize 1000000 \
        --proto =http,https --noproxy '*' --request POST "$url/unseal") || continue
    case $answer in
    *'"open":true'*) echo "open, says $url"; exit 0 ;;
    *'"held":true'*) echo "on hold, says $url: nothing is sent"; exit 0 ;;
    esac
  done
  [ "$(date +%s)" -lt "$end" ] || { echo "not open after $seconds s" >&2; exit 1; }
  sleep 1
done
