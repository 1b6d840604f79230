/* sbom.mjs VERSION DIR TARGET... - the bill of materials of a release in DIR, as SPDX 2.3 JSON on standard output: what each
 * archive contains, in which version, from where, under which licence, with which checksum. Versions and checksums come
 * from where the build takes them: the fetched sources, toolchains/fetch.sh and the lock file. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

const [version, directory, ...targets] = process.argv.slice(2);
const read = (file) => readFileSync(file, 'utf8');
const found = (text, pattern, what) => text.match(pattern)?.[1] ?? (() => { throw new Error(`no ${what} to be found`); })();
const sum = (algorithm, file) => createHash(algorithm).update(readFileSync(file)).digest('hex');

const debian = (name, upstream) => found(read('toolchains/fetch.sh'),
  new RegExp(`^${name} (?:\\S*\\+really)?${upstream.replaceAll('.', '\\.')}(?:[+.]dfsg)? ([0-9a-f]{64})$`, 'm'), `checksum of ${name} ${upstream}`);
const reference = (purl) => [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }];
const notice = (pattern) => found(read('THIRD-PARTY.md'), pattern, 'copyright notice').trim().replace(/^ +/gm, '');

const civetweb = found(read('build/deps/civetweb/include/civetweb.h'), /define CIVETWEB_VERSION "(.*)"/, 'version of civetweb');
const jsmn = found(read('toolchains/fetch.sh'), /^jsmn (\S+) /m, 'version of jsmn');
const zlib = found(read('build/deps/zlib/zlib.h'), /define ZLIB_VERSION "(.*)"/, 'version of zlib');
const mbedtls = found(read('build/deps/mbedtls/include/mbedtls/build_info.h'), /define MBEDTLS_VERSION_STRING +"(.*)"/, 'version of mbedTLS');
const uplot = JSON.parse(read('www/package-lock.json')).packages['node_modules/uplot'];

const inside = [
  {
    name: 'civetweb',
    SPDXID: 'SPDXRef-civetweb',
    versionInfo: civetweb,
    downloadLocation: `git+https://github.com/civetweb/civetweb.git@v${civetweb}`,
    packageFileName: `civetweb_${civetweb}+dfsg.orig.tar.xz`,
    sourceInfo: "Debian's source archive of this release; the checksum is its.",
    checksums: [{ algorithm: 'SHA256', checksumValue: debian('civetweb', civetweb) }],
    licenseDeclared: 'MIT',
    licenseConcluded: 'MIT AND Zlib AND LicenseRef-sha1-public-domain',
    copyrightText: notice(/civetweb:\n\n((?: {4}.*\n)+)/),
    externalRefs: reference(`pkg:github/civetweb/civetweb@v${civetweb}`),
  },
  {
    name: 'jsmn',
    SPDXID: 'SPDXRef-jsmn',
    versionInfo: jsmn,
    downloadLocation: `git+https://github.com/zserge/jsmn.git@v${jsmn}`,
    packageFileName: `jsmn_${jsmn}.orig.tar.gz`,
    sourceInfo: "Debian's source archive of this release; the checksum is its.",
    checksums: [{ algorithm: 'SHA256', checksumValue: debian('jsmn', jsmn) }],
    licenseDeclared: 'MIT',
    licenseConcluded: 'MIT',
    copyrightText: notice(/jsmn:\n\n((?: {4}.*\n)+)/),
    externalRefs: reference(`pkg:github/zserge/jsmn@v${jsmn}`),
  },
  {
    name: 'zlib',
    SPDXID: 'SPDXRef-zlib',
    versionInfo: zlib,
    downloadLocation: `git+https://github.com/madler/zlib.git@v${zlib}`,
    sourceInfo: "inflateBack() of Debian's source archive of this release; the checksum is the archive's.",
    checksums: [{ algorithm: 'SHA256', checksumValue: debian('zlib', zlib) }],
    licenseDeclared: 'Zlib',
    licenseConcluded: 'Zlib',
    copyrightText: notice(/zlib:\n\n((?: {4}.*\n)+)/),
    externalRefs: reference(`pkg:github/madler/zlib@v${zlib}`),
  },
  {
    name: 'uPlot',
    SPDXID: 'SPDXRef-uPlot',
    versionInfo: uplot.version,
    downloadLocation: `git+https://github.com/leeoniya/uPlot.git@${uplot.version}`,
    packageFileName: `uplot-${uplot.version}.tgz`,
    sourceInfo: 'The npm package uplot; the checksum is its.',
    checksums: [{ algorithm: 'SHA512', checksumValue: Buffer.from(uplot.integrity.replace('sha512-', ''), 'base64').toString('hex') }],
    licenseDeclared: 'MIT',
    licenseConcluded: 'MIT',
    copyrightText: notice(/uPlot:\n\n((?: {4}.*\n)+)/),
    externalRefs: reference(`pkg:npm/uplot@${uplot.version}`),
  },
];

// What only programs contain: the amalgamation has it not.
const mbedtlsPart = {
  name: 'mbedTLS',
  SPDXID: 'SPDXRef-mbedtls',
  versionInfo: mbedtls,
  downloadLocation: `git+https://github.com/Mbed-TLS/mbedtls.git@v${mbedtls}`,
  packageFileName: `mbedtls_${mbedtls}.orig.tar.bz2`,
  sourceInfo: "Debian's source archive of this release; the checksum is its.",
  checksums: [{ algorithm: 'SHA256', checksumValue: debian('mbedtls', mbedtls) }],
  licenseDeclared: 'Apache-2.0 OR GPL-2.0-or-later',
  licenseConcluded: 'Apache-2.0',
  copyrightText: notice(/mbedTLS:\n\n((?: {4}.*\n)+)/),
  externalRefs: reference(`pkg:github/Mbed-TLS/mbedtls@v${mbedtls}`),
};

// The C library that a target's program is linked with: musl, which has its version inside.
const libraries = new Map();
function library(target) {
  const file = `build/deps/musl/${found(read(`toolchains/${target}.mk`), /^CROSS := (.*)$/m, 'compiler')}/lib/libc.a`;
  const musl = found(readFileSync(file, 'latin1'), /\0(1\.\d+\.\d+)\0/, 'version of musl');
  const id = `SPDXRef-musl-${target.replaceAll('_', '-')}`;
  libraries.set(id, {
    name: 'musl',
    SPDXID: id,
    versionInfo: musl,
    downloadLocation: `https://musl.libc.org/releases/musl-${musl}.tar.gz`,
    packageFileName: 'libc.a',
    sourceInfo: `The static library for ${target}; the checksum is its.`,
    checksums: [{ algorithm: 'SHA256', checksumValue: sum('sha256', file) }],
    licenseDeclared: 'MIT',
    licenseConcluded: 'MIT',
    copyrightText: notice(/musl:\n\n((?: {4}.*\n)+)/),
    externalRefs: reference(`pkg:generic/musl@${musl}?download_url=https://musl.libc.org/releases/musl-${musl}.tar.gz`),
  });
  return id;
}

const archives = [...targets, 'amalgamation'].map((target) => ({
  target,
  file: `aidash-${version}-${target}.tar.gz`,
})).filter(({ file }) => existsSync(path.join(directory, file))).map(({ target, file }) => ({
  target,
  record: {
    name: 'aidash',
    SPDXID: `SPDXRef-aidash-${target.replaceAll('_', '-')}`,
    versionInfo: version,
    primaryPackagePurpose: target === 'amalgamation' ? 'SOURCE' : 'APPLICATION',
    downloadLocation: 'NOASSERTION',
    packageFileName: file,
    checksums: [{ algorithm: 'SHA256', checksumValue: sum('sha256', path.join(directory, file)) }],
    licenseDeclared: 'MIT',
    licenseConcluded: 'MIT',
    copyrightText: found(read('LICENSE'), /^(Copyright .*)$/m, 'copyright notice'),
    externalRefs: reference(`pkg:generic/aidash@${version}`),
  },
}));

const relate = (spdxElementId, relationshipType, relatedSpdxElement) => ({ spdxElementId, relationshipType, relatedSpdxElement });
const relationships = archives.flatMap(({ target, record }) => [
  relate('SPDXRef-DOCUMENT', 'DESCRIBES', record.SPDXID),
  ...inside.map((part) => relate(record.SPDXID, 'CONTAINS', part.SPDXID)),
  ...(target === 'amalgamation' ? [] : [
    relate(record.SPDXID, 'STATIC_LINK', mbedtlsPart.SPDXID),
    relate(record.SPDXID, 'STATIC_LINK', library(target)),
  ]),
]);
const packages = [...archives.map(({ record }) => record), ...inside, mbedtlsPart, ...libraries.values()]
  .map((record) => ({ ...record, supplier: 'NOASSERTION', filesAnalyzed: false }));

const body = JSON.stringify(packages);
process.stdout.write(`${JSON.stringify({
  spdxVersion: 'SPDX-2.3',
  dataLicense: 'CC0-1.0',
  SPDXID: 'SPDXRef-DOCUMENT',
  name: `aidash-${version}`,
  documentNamespace: `https://spdx.org/spdxdocs/aidash-${version}-${createHash('sha256').update(body).digest('hex')}`,
  creationInfo: {
    created: new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toISOString().replace('.000', ''),
    creators: ['Organization: aidash contributors', 'Tool: package/sbom.mjs'],
  },
  hasExtractedLicensingInfos: [{
    licenseId: 'LicenseRef-sha1-public-domain',
    name: "Public domain: civetweb's sha1.inl",
    extractedText: '100% Public Domain. By Steve Reid, with changes by James H. Brown, Saul Kravitz and Ralph Giles.',
  }],
  packages,
  relationships,
}, null, 2)}\n`);
