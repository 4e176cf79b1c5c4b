#!/bin/sh
# Talks to a new cluster with kvctl and prints what it got: docs/transcripts/kvctl.txt.
#
# Usage: kvctl_transcript.sh KVCTL; the cluster is named by KVCTL_ENDPOINTS and KVCTL_HTTP_ENDPOINTS, a closed one by KVCTL_CA and the others.
set -u
kvctl=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Shows the command, both its outputs, and its exit code where that is not 0.
call() {
    printf '$ kvctl'
    for word in "$@"; do
        case $word in
        "$folder"*) printf ' %s' "${word#"$folder"/}" ;;
        *[!A-Za-z0-9/_.-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    "$kvctl" "$@" 2>&1
    code=$?
    [ $code = 0 ] || echo "[exit $code]"
    echo
}

echo '# Keys'
call put greeting hello --ttl 1h
call get greeting -o json
call get nothing
call put '{order-7}state' new
call incr visits --by 5
call incr visits -o yaml
call incr greeting
printf '\000\377' | call put bytes -
call get 6279746573 --key-format hex -o json
call scan --keys-only
call scan '{order' -o table
call delete bytes nothing

echo '# Several keys at once'
printf '{"conditions": [{"keyUtf8": "{order-7}state", "ifPresent": true}],
 "operations": [{"op": "put", "keyUtf8": "{order-7}state", "valueUtf8": "paid"}, {"op": "increment", "keyUtf8": "{order-7}payments"}]}' >"$folder/batch.json"
printf '{"conditions": [{"keyUtf8": "{order-7}state", "ifAbsent": true}], "operations": [{"op": "delete", "keyUtf8": "{order-7}state"}]}' \
    >"$folder/refused.json"
call batch "$folder/batch.json"
call batch "$folder/refused.json"
call get '{order-7}state' -o json

echo '# A file in, and out again'
printf 'a\tone\nb\ttwo\n' >"$folder/records.tsv"
call import "$folder/records.tsv" -o json | sed 's/"\(seconds\|recordsPerSecond\|longestGapMilliseconds\)":[0-9.e+-]*/"\1":N/g'
call export --format tsv

echo '# Users'
call user add reader --no-password --grant r:a
call user grant reader rw b/
call user list | grep -v '^admin '
call user revoke reader b/
call user remove reader
call user remove reader

echo '# Operation'
call alarm | sed 's/127.0.0.1:[0-9]*/NODE/g'
call shard show 3 | sed 's/node [0-9]* leads/node N leads/'
call config validate "$folder/batch.json" | sed "s#$folder/##"
call log-level loud 2>&1 | sed 's/127.0.0.1:[0-9]*/NODE/g'
call shell <<'END'
get visits
put "two words" 'and three more'
scan two
END
