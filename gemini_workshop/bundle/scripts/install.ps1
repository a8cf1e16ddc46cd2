# Installs the workshop from this folder; no network is needed.
#   powershell -ExecutionPolicy Bypass -File install.ps1 [FOLDER]
param([string]$Target = (Join-Path $HOME "gemini-workshop"))
$ErrorActionPreference = "Stop"
$here = Split-Path -Parent $MyInvocation.MyCommand.Path

if ("@SYSTEM@" -ne "Windows") {
    Write-Host "This folder is for @PLATFORM@, and this machine has Windows."
    exit 1
}

function Test-Python([string[]]$Command) {
    try {
        $rest = @($Command | Select-Object -Skip 1) + @("-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        return (& $Command[0] @rest 2>$null) -eq "@PYTHON@"
    } catch {
        return $false
    }
}
$python = $null
foreach ($command in @(@("py", "-@PYTHON@"), @("python"), @("python3"))) {
    if (Test-Python $command) { $python = $command; break }
}
if (-not $python) {
    Write-Host "Python @PYTHON@ is needed, and was not found. Install it, or ask for a folder for the Python that you have."
    exit 1
}
$rest = @($python | Select-Object -Skip 1)

Write-Host "Checking the files ..."
& $python[0] @rest (Join-Path $here "verify.py")
if ($LASTEXITCODE -ne 0) { exit 1 }
Write-Host "Installing into $Target ..."
& $python[0] @rest -m venv --without-pip $Target
if ($LASTEXITCODE -ne 0) { exit 1 }
$own = Join-Path $Target "Scripts\python.exe"
$wheels = Join-Path $here "wheels"
$env:PYTHONPATH = (Get-ChildItem (Join-Path $wheels "pip-*.whl")).FullName
& $own -m pip install --no-index --find-links $wheels --no-warn-script-location --quiet pip "@WHEEL@"
$failed = $LASTEXITCODE -ne 0
Remove-Item Env:PYTHONPATH
if ($failed) { exit 1 }
if (Test-Path (Join-Path $here "data")) {
    Copy-Item -Recurse -Force (Join-Path $here "data") $Target
    Write-Host "Corpora are in $Target\data. To use them:  `$env:GEMINI_WORKSHOP_MIRROR = `"$Target\data`""
}
$program = Join-Path $Target "Scripts\gemini-workshop.exe"
& $program doctor
Write-Host ""
Write-Host "Begin:  & `"$program`" lab"
