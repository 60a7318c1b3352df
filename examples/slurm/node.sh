#!/bin/bash
# What one node does of train.sbatch: mount, train, unmount. srun runs it once on each node.
set -euo pipefail

remote=$1
run=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
node=${SLURM_NODEID:-0}
# The same place at every restart, so that this node takes its own cursor up again.
mount=${TMPDIR:-/tmp}/wds-${SLURM_JOB_NAME:-train}-$node
mkdir -p "$mount"

unmount() {
  # Saves the cursor and waits until it is on the disk.
  wdsfs unmount "$mount" || wdsfs unmount --lazy "$mount" || true
}

# All nodes' cursors are read, one of this node's own is written. The world size is said here: Slurm's
# own would do where each task is one rank.
wdsfs mount "$remote" "$mount" --cursor "$run/cursors" --world-size "${SLURM_NTASKS:-1}" \
  --shuffle full --seed 7 --log-file "$run/wdsfs-$node.log" ${WDSFS_EXAMPLE_OPTIONS:-}
trap unmount EXIT

RANK=${SLURM_PROCID:-0} WORLD_SIZE=${SLURM_NTASKS:-1} \
  "${PYTHON:-python3}" "$here/../torchrun/train.py" "$mount" ${TRAIN_OPTIONS:-} &
trainer=$!
trap 'kill -TERM "$trainer" 2>/dev/null || true' TERM
status=0
wait "$trainer" || status=$?
# Where a signal ended the first wait, the trainer still commits its step.
if kill -0 "$trainer" 2>/dev/null; then
  status=0
  wait "$trainer" || status=$?
fi
exit "$status"
