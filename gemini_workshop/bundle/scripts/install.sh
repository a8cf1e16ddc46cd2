#!/bin/sh
# Installs the workshop from this folder; no network is needed.    sh install.sh [FOLDER]
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=${1:-"$HOME/gemini-workshop"}

if [ "$(uname -s)" != "@SYSTEM@" ]; then
    echo "This folder is for @PLATFORM@, and this machine is $(uname -s) $(uname -m)." >&2
    exit 1
fi
case " @MACHINES@ " in
    *" $(uname -m) "*) ;;
    *) echo "This folder is for @PLATFORM@, and this machine is $(uname -s) $(uname -m)." >&2; exit 1 ;;
esac

python=
for name in python@PYTHON@ python3 python; do
    if "$name" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] != "@PYTHON@")' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python @PYTHON@ is needed, and was not found. Install it, or ask for a folder for the Python that you have." >&2
    exit 1
fi

echo "Checking the files ..."
"$python" "$here/verify.py"
echo "Installing into $target ..."
"$python" -m venv --without-pip "$target"
PYTHONPATH=$(echo "$here"/wheels/pip-*.whl) "$target/bin/python" -m pip install \
    --no-index --find-links "$here/wheels" --no-warn-script-location --quiet pip "@WHEEL@"
if [ -d "$here/data" ]; then
    cp -R "$here/data" "$target/"
    echo "Corpora are in $target/data. To use them:  export GEMINI_WORKSHOP_MIRROR=\"$target/data\""
fi
"$target/bin/gemini-workshop" doctor || true
echo
echo "Begin:  \"$target/bin/gemini-workshop\" lab"
