#Requires -Version 5.1
<#
.SYNOPSIS
    Set up, start, stop and look at an MT5-CRS service on Windows, beside a terminal.
.DESCRIPTION
    install    the folder, for its user alone; a release, if a wheel is given; keys, if there are none; a
               firewall rule for the clients' addresses; a scheduled task that starts the service's keeper at
               the logon of the terminal's user, on that user's desktop. Again as often as you like.
    uninstall  takes the task and the rule away; leaves keys, journal, .env and releases.
    start, stop, restart   through the keeper, which gives the service its time to end what it has begun.
    status     one line of JSON.
    -WhatIf shows what would be done. Exit codes: 0 done, 1 failed, 2 refused before anything was done.
    Not run on Windows yet.
.EXAMPLE
    powershell.exe -ExecutionPolicy Bypass -File .\mt5crs.ps1 install -Clients 10.0.0.5,10.0.0.6
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, Position = 0)]
    [ValidateSet('install', 'uninstall', 'start', 'stop', 'restart', 'status')]
    [string] $Do,

    # The folder of the releases.
    [string] $Path = 'C:\mt5-crs',

    # The service; its task is mt5crs-NAME.
    [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$')]
    [string] $Service = 'gateway',

    # Its command; without it what the fleet command told its keeper, or the default below.
    [string] $Command = '',

    # Seconds that it is given to end what it has begun.
    [ValidateRange(0, 3600)]
    [int] $Drain = 30,

    # Addresses or networks that may reach the ports, with commas.
    [string] $Clients = '',

    # The gateway's ports, with commas.
    [ValidatePattern('^[0-9]{1,5}(,[0-9]{1,5})*$')]
    [string] $Ports = '5555,5556',

    # The terminal's user.
    [string] $User = [System.Security.Principal.WindowsIdentity]::GetCurrent().Name,

    # A 64-bit Python 3.10 or newer; searched for without it.
    [string] $Python = '',

    # A wheel to make a release of, and its locked requirements with hashes.
    [string] $Wheel = '',
    [string] $Requirements = '',

    # A release that is there and not in use yet, whose program makes the first keys.
    [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9._+!-]*$')]
    [string] $NewRelease = ''
)

Set-StrictMode -Version 3.0
$ErrorActionPreference = 'Stop'

$DefaultCommand = 'mt5crs gateway --terminal official --host 0.0.0.0 --keys keys --journal journal.db'
$RuleName = 'mt5crs-gateway'
$TaskName = "mt5crs-$Service"
$Path = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Path).TrimEnd('\')
$Current = Join-Path $Path 'current'
$Keeper = Join-Path $Path '.fleet\keeper.pyz'
$ServiceFile = Join-Path $Path ".fleet\services\$Service.json"

# What can be mended by whoever called: message, and what to do.
function Deny([string] $What, [string] $Hint) {
    [Console]::Error.WriteLine($What)
    [Console]::Error.WriteLine("hint: $Hint")
    exit 2
}

# A program of its own: its exit code counts.
function Invoke-Program([string] $Program, [string[]] $Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) {
        throw "$Program $($Arguments -join ' ') failed with exit code $LASTEXITCODE"
    }
}

function Assert-Administrator {
    $identity = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object System.Security.Principal.WindowsPrincipal($identity)
    if (-not $principal.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)) {
        Deny "$Do changes the firewall and needs an administrator" 'run PowerShell as one, or log in over SSH as one'
    }
}

function Get-Sid([string] $Name) {
    $account = New-Object System.Security.Principal.NTAccount($Name)
    return $account.Translate([System.Security.Principal.SecurityIdentifier]).Value
}

# The clients' addresses: no name, and never everybody.
function Get-Address {
    $list = @($Clients.Split(',') | ForEach-Object { $_.Trim() } | Where-Object { $_ })
    if ($list.Count -eq 0) {
        Deny 'no clients: the ports are for their addresses alone' 'give -Clients 10.0.0.5,10.0.0.6'
    }
    $everybody = @([System.Net.IPAddress]::Any, [System.Net.IPAddress]::IPv6Any)
    foreach ($each in $list) {
        $address, $prefix = $each.Split('/')
        $parsed = [System.Net.IPAddress]::Any
        $known = $address -match '[.:]' -and [System.Net.IPAddress]::TryParse($address, [ref] $parsed)
        $narrow = $null -eq $prefix -or $prefix -match '^[1-9][0-9]{0,2}$'
        if (-not ($known -and $narrow) -or $everybody -contains $parsed) {
            Deny "-Clients: '$each' is no address of a client or a network" 'give such as 10.0.0.5 or 10.0.0.0/24'
        }
    }
    return $list
}

# The interpreter that releases are made of and the keeper runs in.
function Find-Python {
    $check = 'import sys; print(sys.executable if sys.version_info >= (3, 10) and sys.maxsize > 2**32 else str())'
    $candidates = @(@('py.exe', '-3'), @('python.exe', $null), @('python3.exe', $null))
    if ($Python) {
        $candidates = @(, @($Python, $null))
    }
    foreach ($candidate in $candidates) {
        $known = Get-Command -Name $candidate[0] -CommandType Application -ErrorAction SilentlyContinue
        $program = $known | Select-Object -First 1
        # The Store's placeholder in WindowsApps is no Python.
        if ($null -eq $program -or $program.Source -like '*\WindowsApps\*') {
            continue
        }
        $arguments = @($candidate[1], '-c', $check | Where-Object { $_ })
        $found = & $program.Source @arguments
        if ($LASTEXITCODE -eq 0 -and $found) {
            return [string] $found
        }
    }
    Deny 'no 64-bit Python 3.10 or newer was found' 'install one from python.org for all users, or give -Python'
}

# The release in use; empty where there is none.
function Get-Release {
    if (Test-Path -LiteralPath $Current -PathType Leaf) {
        return (Get-Content -LiteralPath $Current -Raw).Trim()
    }
    return ''
}

function Get-ReleasePython([string] $Release) {
    return Join-Path $Path "releases\$Release\.venv\Scripts\python.exe"
}

function Install-Folder {
    if ($PSCmdlet.ShouldProcess($Path, "make the folder, for $User alone")) {
        $null = New-Item -ItemType Directory -Force -Path (Join-Path $Path '.fleet\services')
        $sid = Get-Sid $User
        # SYSTEM and the administrators, who can read everything in any case, stay.
        $grants = @("*${sid}:(OI)(CI)F", '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F')
        $null = Invoke-Program 'icacls.exe' (@($Path, '/inheritance:r', '/grant:r') + $grants)
    }
}

# A release of a wheel alone, with the locked requirements; the one in use is changed last.
function Install-Release([string] $Interpreter) {
    if (-not $Wheel) {
        return
    }
    $digest = (Get-FileHash -LiteralPath $Wheel -Algorithm SHA256).Hash.ToLowerInvariant().Substring(0, 12)
    $version = [System.IO.Path]::GetFileName($Wheel).Split('-')[1]
    $release = "$version-w$digest"
    $venv = Join-Path $Path "releases\$release\.venv"
    if ($release -eq (Get-Release)) {
        return
    }
    if ($PSCmdlet.ShouldProcess($venv, 'install the release')) {
        Invoke-Program $Interpreter @('-m', 'venv', '--clear', $venv)
        $pip = @('-m', 'pip', '--disable-pip-version-check', 'install', '--quiet')
        $inside = Get-ReleasePython $release
        Invoke-Program $inside ($pip + @('--require-hashes', '--only-binary', ':all:', '-r', $Requirements))
        Invoke-Program $inside ($pip + @('--no-deps', '--no-index', $Wheel))
        [System.IO.File]::WriteAllText("$Current.new", $release)
        Move-Item -LiteralPath "$Current.new" -Destination $Current -Force
    }
}

function Install-Key {
    $keys = Join-Path $Path 'keys'
    $release = Get-Release
    if (-not $release) {
        $release = $NewRelease
    }
    if (Test-Path -LiteralPath $keys) {
        return
    }
    if (-not $release) {
        Write-Output 'keys: none yet; run this again after the first sync, or mt5crs keys init'
        return
    }
    if ((Get-Sid $User) -ne [System.Security.Principal.WindowsIdentity]::GetCurrent().User.Value) {
        Write-Output "keys: none yet; as $User, who alone may read them, run mt5crs keys init in $Path"
        return
    }
    if ($PSCmdlet.ShouldProcess($keys, 'make the keys of the gateway')) {
        Invoke-Program (Get-ReleasePython $release) @('-m', 'mt5crs', 'keys', 'init', '--keys', $keys)
    }
}

function Install-Rule([string[]] $Address) {
    $rule = @{
        Enabled = 'True'
        Direction = 'Inbound'
        Action = 'Allow'
        Protocol = 'TCP'
        LocalPort = $Ports.Split(',')
    }
    if ($PSCmdlet.ShouldProcess($RuleName, "let $($Address -join ', ') reach TCP $Ports")) {
        if (Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue) {
            Set-NetFirewallRule -Name $RuleName -RemoteAddress $Address @rule
        }
        else {
            $null = New-NetFirewallRule -Name $RuleName -DisplayName 'MT5-CRS gateway' -RemoteAddress $Address @rule
        }
    }
}

# Writes down what is to be kept; the release brings the keeper itself.
function Install-Keeper {
    $release = Get-Release
    $told = (Test-Path -LiteralPath $ServiceFile) -and (Test-Path -LiteralPath $Keeper)
    if (-not $release -or ($told -and -not $Command)) {
        return
    }
    $line = $DefaultCommand
    if ($Command) {
        $line = $Command
    }
    if ($PSCmdlet.ShouldProcess($ServiceFile, "keep running: $line")) {
        # Windows PowerShell does not escape the quotation marks inside an argument.
        $program = @('-m', 'mt5crs.fleet.node', 'service', $Path, 'prepare')
        $null = Invoke-Program (Get-ReleasePython $release) ($program + @($Service, $line.Replace('"', '\"'), $Drain))
    }
}

function Install-Task([string] $Interpreter) {
    # pythonw has no window that somebody could close.
    $windowless = Join-Path (Split-Path -Parent $Interpreter) 'pythonw.exe'
    if (-not (Test-Path -LiteralPath $windowless)) {
        $windowless = $Interpreter
    }
    if ($PSCmdlet.ShouldProcess($TaskName, "start the keeper at the logon of $User")) {
        $how = @{
            MultipleInstances = 'IgnoreNew'
            RestartCount = 999
            RestartInterval = New-TimeSpan -Minutes 1
            ExecutionTimeLimit = [TimeSpan]::Zero
            AllowStartIfOnBatteries = $true
            DontStopIfGoingOnBatteries = $true
            StartWhenAvailable = $true
            Priority = 4
        }
        $settings = New-ScheduledTaskSettingsSet @how
        # Some versions take a limit of zero for none given, which is three days.
        $settings.ExecutionTimeLimit = 'PT0S'
        $line = "`"$Keeper`" keep `"$Path`" $Service"
        $task = @{
            TaskName = $TaskName
            Description = 'Keeps an MT5-CRS service running'
            Action = New-ScheduledTaskAction -Execute $windowless -Argument $line -WorkingDirectory $Path
            Trigger = New-ScheduledTaskTrigger -AtLogOn -User $User
            Principal = New-ScheduledTaskPrincipal -UserId $User -LogonType Interactive -RunLevel Limited
            Settings = $settings
        }
        $null = Register-ScheduledTask @task -Force
    }
}

function Install-All {
    Assert-Administrator
    $address = Get-Address
    if ([bool] $Wheel -ne [bool] $Requirements) {
        Deny 'a wheel needs its locked requirements' 'give both, or neither: mt5crs fleet sync brings releases too'
    }
    $interpreter = Find-Python
    Install-Folder
    Install-Release $interpreter
    Install-Key
    Install-Rule $address
    Install-Keeper
    Install-Task $interpreter
}

function Uninstall-All {
    Assert-Administrator
    if (Test-Path -LiteralPath $Keeper) {
        Request-Service 'stop'
    }
    $task = Get-ScheduledTask -TaskName $TaskName -ErrorAction SilentlyContinue
    if ($task -and $PSCmdlet.ShouldProcess($TaskName, 'take the task away')) {
        Unregister-ScheduledTask -TaskName $TaskName -Confirm:$false
    }
    $rule = Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue
    if ($rule -and $PSCmdlet.ShouldProcess($RuleName, 'take the firewall rule away')) {
        Remove-NetFirewallRule -Name $RuleName
    }
    Write-Output "left in ${Path}: keys, journal, .env and releases; delete them when they prove nothing any more"
}

# Asks the keeper, which drains; the program says how it went.
function Request-Service([string] $What) {
    if (-not (Test-Path -LiteralPath $Keeper)) {
        Deny "there is no keeper in $Path" 'run install, or mt5crs fleet sync'
    }
    if ($PSCmdlet.ShouldProcess($Service, $What)) {
        Invoke-Program (Find-Python) @($Keeper, 'service', $Path, $What, $Service)
    }
}

function Show-Status {
    $task = Get-ScheduledTask -TaskName $TaskName -ErrorAction SilentlyContinue
    $rule = Get-NetFirewallRule -Name $RuleName -ErrorAction SilentlyContinue
    $status = [ordered] @{
        path = $Path
        release = Get-Release
        has_keys = Test-Path -LiteralPath (Join-Path $Path 'keys')
        is_private = (Test-Path -LiteralPath $Path) -and (Get-Acl -LiteralPath $Path).AreAccessRulesProtected
        task = $null
        clients = @()
        ports = @()
        service = $null
    }
    if ($task) {
        $status.task = [string] $task.State
    }
    # A rule that is off, or of another kind, lets nobody in.
    if ($rule -and "$($rule.Enabled) $($rule.Direction) $($rule.Action)" -eq 'True Inbound Allow') {
        $status.clients = @(($rule | Get-NetFirewallAddressFilter).RemoteAddress)
        $status.ports = @(($rule | Get-NetFirewallPortFilter).LocalPort)
    }
    if (Test-Path -LiteralPath $Keeper) {
        $told = Invoke-Program (Find-Python) @($Keeper, 'service', $Path, 'status', $Service)
        $status.service = ConvertFrom-Json -InputObject ([string] $told)
    }
    ConvertTo-Json -InputObject $status -Compress -Depth 6
}

try {
    switch ($Do) {
        'install' { Install-All }
        'uninstall' { Uninstall-All }
        'status' { Show-Status }
        default { Request-Service $Do }
    }
}
catch {
    [Console]::Error.WriteLine($_.Exception.Message)
    exit 1
}
exit 0
