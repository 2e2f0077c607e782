# start_ours ; stop_ours: our own server on the standard ports, with the accounts of the bench.
# The data is made once per run folder by `rohrpost demo`, then served as a real node serves it.
ROHRPOST=${ROHRPOST:-$BENCH/../target/release/rohrpost}
OURS=$RUN/ours
start_ours() {
  rm -rf $OURS; mkdir -p $OURS
  ns $ROHRPOST demo --dir $OURS --port-base 0 --bench-accounts $NUSERS --next-hop 127.0.0.1:2525 >$OURS/setup.log 2>&1 &
  local setup=$! i
  for i in $(seq 600); do [ -e $OURS/endpoints.json ] && break; sleep 0.1; done
  [ -e $OURS/endpoints.json ] || { cat $OURS/setup.log; return 1; }
  kill $(grep -o '"pid": [0-9]*' $OURS/endpoints.json | grep -o '[0-9]*'); wait $setup 2>/dev/null
  # the same settings without the demo's listeners: the standard ports on all addresses
  awk '/^\[/ { listener = /^\[\[listener\]\]/ } !listener' $OURS/rohrpost.toml > $OURS/bench.toml
  echo -e '[log]\nlevel = "warn"' >> $OURS/bench.toml
  # as srv does, but without a shell in between, so that $! is the server itself
  ( echo $BASHPID > $CG/cgroup.procs; exec nsenter --net=/run/netns/$NS $ROHRPOST --config $OURS/bench.toml serve ) >$OURS/log 2>&1 &
  echo $! > $RUN/ours.pid
  for i in $(seq 100); do ns bash -c 'exec 3<>/dev/tcp/127.0.0.1/25' 2>/dev/null && break; sleep 0.1; done
  # as Postfix's transport_maps: a destination whose server never answers, for the suite "dead"
  ns $ROHRPOST --config $OURS/bench.toml destination set dead0.test may --next-hop '[127.0.0.1]:2526' >$OURS/destination.log 2>&1 && return 0
  cat $OURS/destination.log
  echo "rohrpost does not answer on port 25:"; cat $OURS/log; return 1
}
stop_ours() {
  local pid; pid=$(cat $RUN/ours.pid)
  kill $pid 2>/dev/null; wait_gone $pid 20 || kill -9 $pid
}
