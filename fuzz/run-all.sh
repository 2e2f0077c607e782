#!/bin/sh
# Runs every fuzz target for SECONDS (60 unless told), one after the other, with the seeds and whatever
# was learnt before. Ends with the names of targets that found something; their inputs are in artifacts/.
# Usage: fuzz/run-all.sh [SECONDS]
set -u
cd "$(dirname "$0")" || exit 1
seconds=${1:-60}
failed=""
for file in fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    mkdir -p "corpus/$target"
    echo "== $target"
    cargo fuzz run --fuzz-dir . --sanitizer none "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
        -verbosity=0 || failed="$failed $target"
done
if [ -n "$failed" ]; then
    echo "findings in:$failed"
    exit 1
fi
echo "no findings"
