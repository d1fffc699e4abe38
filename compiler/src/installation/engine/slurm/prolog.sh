#!/bin/sh
# A job without a record gets no GPU through gpupol. A Prolog that fails would drain the node, which nobody may be able to cause.
state=/run/gpupol
umask 022
mkdir -p "$state/slurm" && chmod 755 "$state" "$state/slurm" || exit 0
case "$SLURM_JOB_USER$SLURM_JOB_ACCOUNT$SLURM_JOB_PARTITION" in *[!A-Za-z0-9_.@-]*) exit 0 ;; esac
gpus=
for number in $(echo "$SLURM_JOB_GPUS" | tr , ' '); do
    gpus="$gpus${gpus:+, }\"/dev/nvidia$number\""
done
cat > "$state/slurm/.new.$SLURM_JOB_ID" <<EOF
{"jobVersion": 1, "job": $SLURM_JOB_ID, "uid": $SLURM_JOB_UID, "user": "$SLURM_JOB_USER",
 "account": "$SLURM_JOB_ACCOUNT", "partition": "$SLURM_JOB_PARTITION", "gpus": [$gpus]}
EOF
mv "$state/slurm/.new.$SLURM_JOB_ID" "$state/slurm/$SLURM_JOB_ID.json"
exit 0
