#!/bin/bash
# Runs a test binary for `go test -exec` and adds a line to the file DARK_TIMES: the
# package's folder, and the seconds of CPU (user, system) and of time that the binary and
# the children that it waited for took.
folder=${PWD#"$DARK_ROOT"}
TIMEFORMAT="${folder:-/.} %U %S %R"
TIMEFORMAT=${TIMEFORMAT#/}
exec 3>&2
{ time "$@" 2>&3; } 2>>"$DARK_TIMES"
