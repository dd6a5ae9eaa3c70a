//! Names of things in time-stamps: the content of their DER OBJECT IDENTIFIER. Source: RFC 3161, 5035, 5280, 5652, 5754,
//! 5758, 8017.

/// id-signedData, 1.2.840.113549.1.7.2
pub const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
/// id-ct-TSTInfo, 1.2.840.113549.1.9.16.1.4
pub const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 1, 4];
/// id-contentType, 1.2.840.113549.1.9.3
pub const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
/// id-messageDigest, 1.2.840.113549.1.9.4
pub const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
/// id-aa-signingCertificate, 1.2.840.113549.1.9.16.2.12
pub const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 12];
/// id-aa-signingCertificateV2, 1.2.840.113549.1.9.16.2.47
pub const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 16, 2, 47];
/// id-sha256, 2.16.840.1.101.3.4.2.1
pub const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// id-sha384, 2.16.840.1.101.3.4.2.2
pub const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
/// id-sha512, 2.16.840.1.101.3.4.2.3
pub const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];
/// rsaEncryption, 1.2.840.113549.1.1.1
pub const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// id-RSASSA-PSS, 1.2.840.113549.1.1.10
pub const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
/// sha256WithRSAEncryption, 1.2.840.113549.1.1.11
pub const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
/// sha384WithRSAEncryption, 1.2.840.113549.1.1.12
pub const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
/// sha512WithRSAEncryption, 1.2.840.113549.1.1.13
pub const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
/// ecdsa-with-SHA256, 1.2.840.10045.4.3.2
pub const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// ecdsa-with-SHA384, 1.2.840.10045.4.3.3
pub const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
/// id-ce-subjectKeyIdentifier, 2.5.29.14
pub const SUBJECT_KEY: &[u8] = &[0x55, 0x1d, 14];
/// id-ce-extKeyUsage, 2.5.29.37
pub const KEY_PURPOSES: &[u8] = &[0x55, 0x1d, 37];
/// id-kp-timeStamping, 1.3.6.1.5.5.7.3.8
pub const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
/// id-at-commonName, 2.5.4.3
pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// id-at-organizationName, 2.5.4.10
pub const ORGANIZATION: &[u8] = &[0x55, 4, 10];
