#!/bin/sh
state=/run/gpupol
rm -f "$state/slurm/$SLURM_JOB_ID.json"
exit 0
