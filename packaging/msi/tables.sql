-- What wixl 0.101 cannot say, as statements for msibuild: one a line.

-- Folders and what is remembered stay when the package goes (permanent), as the files that Windows Installer never knew: configuration, data, log.
UPDATE `Component` SET `Attributes` = 276 WHERE `Component` = 'Folder'
UPDATE `Component` SET `Attributes` = 272 WHERE `Component` = 'Data'
UPDATE `Component` SET `Attributes` = 272 WHERE `Component` = 'Log'

-- A service that cannot be installed is an installation that failed (vital).
UPDATE `ServiceInstall` SET `ErrorControl` = 32769 WHERE `ServiceInstall` = 'Service'

-- The older version goes inside the transaction: when the newer one cannot be installed, the older one is back.
UPDATE `InstallExecuteSequence` SET `Sequence` = 1501 WHERE `Action` = 'RemoveExistingProducts'

-- A file with a version is replaced by rule and not by its date; long names have short ones beside them.
UPDATE `File` SET `Version` = '@FOUR@', `Language` = '1033' WHERE `File` = 'Executable'
UPDATE `File` SET `FileName` = 'DEFAULT.TOM|default.toml' WHERE `File` = 'Template'
UPDATE `File` SET `FileName` = 'EXAMPLE.TOM|example.toml' WHERE `File` = 'Example'
UPDATE `File` SET `FileName` = 'CHANGE~1.MD|CHANGELOG.md' WHERE `File` = 'Changes'
UPDATE `File` SET `FileName` = 'LICENS~1|LICENSE-MIT' WHERE `File` = 'LicenceMit'
UPDATE `File` SET `FileName` = 'LICENS~2|LICENSE-APACHE' WHERE `File` = 'LicenceApache'
UPDATE `File` SET `FileName` = 'THIRD-~1.TXT|THIRD-PARTY.txt' WHERE `File` = 'ThirdParty'

-- Properties that reach the part of the installation that has the rights.
UPDATE `Property` SET `Value` = 'WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED;PORT;DATADIR;KEPTPORT;KEPTDATADIR;KEPTSTART;KEPTDELAY;CONFIGURED' WHERE `Property` = 'SecureCustomProperties'

-- Is there a configuration? Then the port and the folder are those of its first text, for the link in the Start menu.
CREATE TABLE `DrLocator` (`Signature_` CHAR(72) NOT NULL, `Parent` CHAR(72), `Path` CHAR(255), `Depth` SHORT PRIMARY KEY `Signature_`, `Parent`, `Path`)
INSERT INTO `DrLocator` (`Signature_`, `Path`, `Depth`) VALUES ('ConfigFile', '[CommonAppDataFolder]Entrepot', 0)
INSERT INTO `Signature` (`Signature`, `FileName`) VALUES ('ConfigFile', 'entrepot.toml')
INSERT INTO `AppSearch` (`Property`, `Signature_`) VALUES ('CONFIGURED', 'ConfigFile')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepPort', 51, 'PORT', '[KEPTPORT]')
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('KeepDataDir', 51, 'DATADIR', '[KEPTDATADIR]')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepPort', 'CONFIGURED AND KEPTPORT', 60)
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepDataDir', 'CONFIGURED AND KEPTDATADIR', 61)
INSERT INTO `InstallUISequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepPort', 'CONFIGURED AND KEPTPORT', 60)
INSERT INTO `InstallUISequence` (`Action`, `Condition`, `Sequence`) VALUES ('KeepDataDir', 'CONFIGURED AND KEPTDATADIR', 61)

-- After the service is there, and before it starts: the configuration when there is none, the rights on the folders, the quoted path of the service,
-- and that Windows starts it again. As SYSTEM (18 a program that was installed, 1024 deferred, 2048 not as the user); when it fails, the installation does.
INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('Configure', 3090, 'Executable', 'service configure --config "[CONFDIR]entrepot.toml" --template "[#Template]" --log-dir "[CONFDIR]log" --data-dir "[DATADIR]." --port "[PORT]" --kept "[KEPTPORT]" --start "[KEPTSTART]" --delay "[KEPTDELAY]"')
INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('Configure', 'NOT REMOVE="ALL"', 5850)

-- Windows Installer makes the service anew at each upgrade and repair, started with the machine. What was said of that before is read from the registry
-- first, and Configure says it again; a service that is not to be started with the machine is not started by us either.
UPDATE `InstallExecuteSequence` SET `Condition` = 'VersionNT AND (NOT KEPTSTART OR KEPTSTART="#2")' WHERE `Action` = 'StartServices'

-- "entrepot check" in every new console.
CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)
INSERT INTO `Environment` (`Environment`, `Name`, `Value`, `Component_`) VALUES ('Path', '=-*PATH', '[~];[INSTALLDIR]', 'Program')
INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('RemoveEnvironmentStrings', 3300)
INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('WriteEnvironmentStrings', 5200)
