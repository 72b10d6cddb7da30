<?php
// A calendar server on sabre/dav as Debian ships it, with Digest, its default. Called by PHP's own
// web server: SABRE_DB names the SQLite file, SABRE_USER and SABRE_PASSWORD the one account.
// The library is older than this PHP: its deprecation notices must not end up inside answers.
error_reporting(E_ALL & ~E_DEPRECATED & ~E_NOTICE & ~E_WARNING);
ini_set('display_errors', '0');
date_default_timezone_set('UTC');
require_once 'Sabre/autoload.php';

$file = getenv('SABRE_DB');
$fresh = !file_exists($file);
$db = new PDO("sqlite:$file");
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
if ($fresh) {
    $user = getenv('SABRE_USER');
    $db->exec('CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, digesta1 TEXT)');
    $db->exec('CREATE TABLE principals (id INTEGER PRIMARY KEY, uri TEXT UNIQUE, email TEXT,
        displayname TEXT, vcardurl TEXT)');
    $db->exec('CREATE TABLE groupmembers (id INTEGER PRIMARY KEY, principal_id INTEGER,
        member_id INTEGER)');
    $db->exec('CREATE TABLE calendars (id INTEGER PRIMARY KEY, principaluri TEXT, displayname TEXT,
        uri TEXT, ctag INTEGER, description TEXT, calendarorder INTEGER, calendarcolor TEXT,
        timezone TEXT, components TEXT, transparent BOOL)');
    $db->exec('CREATE TABLE calendarobjects (id INTEGER PRIMARY KEY, calendardata BLOB, uri TEXT,
        calendarid INTEGER, lastmodified INTEGER, etag TEXT, size INTEGER, componenttype TEXT,
        firstoccurence INTEGER, lastoccurence INTEGER)');
    $hash = md5("$user:SabreDAV:" . getenv('SABRE_PASSWORD'));
    $db->prepare('INSERT INTO users (username, digesta1) VALUES (?, ?)')->execute([$user, $hash]);
    $db->prepare('INSERT INTO principals (uri, email, displayname) VALUES (?, ?, ?)')
        ->execute(["principals/$user", 'ada@example.org', $user]);
}
$principals = new Sabre\DAVACL\PrincipalBackend\PDO($db);
$server = new Sabre\DAV\Server([
    new Sabre\CalDAV\Principal\Collection($principals),
    new Sabre\CalDAV\CalendarRootNode($principals, new Sabre\CalDAV\Backend\PDO($db)),
]);
$server->setBaseUri('/');
$server->addPlugin(new Sabre\DAV\Auth\Plugin(new Sabre\DAV\Auth\Backend\PDO($db), 'SabreDAV'));
$server->addPlugin(new Sabre\DAVACL\Plugin());
$server->addPlugin(new Sabre\CalDAV\Plugin());
$server->exec();
