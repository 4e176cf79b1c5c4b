#!/bin/sh
# Talks to a new cluster with curl and prints what it got: docs/transcripts/curl.txt.
#
# Usage: curl_transcript.sh PORT OTHER_PORT, the ports for HTTP of two of its nodes. With SCHEME=https it speaks TLS; whom it believes and who
# it is then stand in curl's own file, $CURL_HOME/.curlrc.
set -eu
node=${SCHEME:-http}://127.0.0.1:$1
other=${SCHEME:-http}://127.0.0.1:$2

# Shows the call with NODE or OTHER for the address, the answer, and its status.
call() {
    printf '$ curl'
    for word in "$@"; do
        case $word in
        "$node"*) printf " '%s'" "NODE${word#"$node"}" ;;
        "$other"*) printf " '%s'" "OTHER${word#"$other"}" ;;
        *[!A-Za-z0-9-]*) printf " '%s'" "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    curl --silent --show-error --max-time 20 --header 'X-Request-Id: example' --write-out '\n[%{http_code}]\n' "$@" 2>&1
    echo
}

echo '# Keys'
call -X PUT --data-binary hello "$node/v1/kv/greeting"
call "$other/v1/kv/greeting"
call "$other/v1/kv/greeting?consistency=lease"
call -X PUT --data-binary 'a/b c' "$node/v1/kv/folder%2Fname%20with%20spaces"
call "$other/v1/kv/folder%2Fname%20with%20spaces"
call "$node/v1/kv/none"
call -X DELETE "$node/v1/kv/none"
call -X DELETE "$node/v1/kv/none?must_exist=true"

echo '# Conditions'
call -X PUT --data-binary first -H 'If-None-Match: *' "$node/v1/kv/once"
call -X PUT --data-binary second -H 'If-None-Match: *' "$other/v1/kv/once"
call -X PUT --data-binary second "$node/v1/kv/once?return=previous"
call -X DELETE -H 'If-Match: "999"' "$node/v1/kv/once"

echo '# Counters, and a retry that counts once'
call -X POST "$node/v1/kv/visits/increment?by=5"
call -X POST -H 'Idempotency-Key: visit-1' "$node/v1/kv/visits/increment"
call -X POST -H 'Idempotency-Key: visit-1' "$other/v1/kv/visits/increment"
call -X POST "$node/v1/kv/greeting/increment"

echo '# Batches'
call --data '{"conditions": [{"keyUtf8": "{order}state", "ifAbsent": true}],
 "operations": [{"op": "put", "keyUtf8": "{order}state", "valueUtf8": "new"}, {"op": "increment", "keyUtf8": "{order}count"}]}' \
    "$node/v1/batch"
call --data '{"conditions": [{"keyUtf8": "{order}state", "ifAbsent": true}],
 "operations": [{"op": "increment", "keyUtf8": "{order}count"}]}' "$other/v1/batch"
call --data '{"operations": [{"op": "get", "keyUtf8": "a"}, {"op": "get", "keyUtf8": "b"}]}' "$node/v1/batch"

echo '# Listings'
call "$node/v1/kv?prefix=%7Border%7D&limit=1"
call "$node/v1/kv?prefix=%7Border%7D&keys_only=true&reverse=true"

echo '# Mistakes'
call "$node/v1/kv/greeting?consistancy=stale"
call -X PUT --data-binary x "$node/v1/kv/greeting?ttl=soon"
call "$node/v1/kv/%zz"
call -X PATCH "$node/v1/kv/greeting"
call "$node/nowhere"
call "$node/get?key=greeting"
