/** The OpenSSL that the node binary exports. Handles are bigints; each is freed exactly once by the class that owns it. */
import { addressOf, bindInt, bindPointer, bindReentrant, bindVoid, callback } from './ffi.ts';

export const tlsMethod = bindPointer('TLS_method', 2);
export const ctxNew = bindPointer('SSL_CTX_new', 2);
export const ctxFree = bindVoid('SSL_CTX_free', 2);
export const ctxCtrl = bindInt('SSL_CTX_ctrl', 4);
export const ctxSetReadBuffer = bindVoid('SSL_CTX_set_default_read_buffer_len', 2);
export const ctxSetOptions = bindPointer('SSL_CTX_set_options', 2);
export const ctxSetNumTickets = bindInt('SSL_CTX_set_num_tickets', 2);
export const ctxSetVerify = bindVoid('SSL_CTX_set_verify', 3);
export const ctxSetVerifyCallback = bindVoid('SSL_CTX_set_cert_verify_callback', 3);
export const ctxSetAlpnSelect = bindVoid('SSL_CTX_set_alpn_select_cb', 3);
export const ctxSetAlpnProtos = bindInt('SSL_CTX_set_alpn_protos', 3);
export const sslSetAlpnProtos = bindInt('SSL_set_alpn_protos', 3);
export const ctxSetCiphersuites = bindInt('SSL_CTX_set_ciphersuites', 2);
export const ctxSetCipherList = bindInt('SSL_CTX_set_cipher_list', 2);
export const ctxUseCertificate = bindInt('SSL_CTX_use_certificate', 2);
export const ctxUseKey = bindInt('SSL_CTX_use_PrivateKey', 2);
export const ctxCheckKey = bindInt('SSL_CTX_check_private_key', 2);
export const ctxStore = bindPointer('SSL_CTX_get_cert_store', 2);
export const ctxAddClientCa = bindInt('SSL_CTX_add_client_CA', 2);
export const ctxSetSessionIdContext = bindInt('SSL_CTX_set_session_id_context', 3);

export const ctxSetKeylog = bindVoid('SSL_CTX_set_keylog_callback', 2);

export const sslNew = bindPointer('SSL_new', 2);
export const sslFree = bindVoid('SSL_free', 2);
export const sslSetFd = bindInt('SSL_set_fd', 2);
export const sslSetBio = bindVoid('SSL_set_bio', 3);
export const sslSetAccept = bindVoid('SSL_set_accept_state', 2);
export const sslSetConnect = bindVoid('SSL_set_connect_state', 2);
export const sslCtrl = bindInt('SSL_ctrl', 4);
export const sslRead = bindInt('SSL_read', 3);
export const sslWrite = bindInt('SSL_write', 3);
export const sslShutdown = bindInt('SSL_shutdown', 2);
export const sslHasPending = bindInt('SSL_has_pending', 2);
export const sslError = bindInt('SSL_get_error', 2);
export const sslVersion = bindInt('SSL_version', 2);
export const sslCipher = bindPointer('SSL_get_current_cipher', 2);
export const cipherName = bindPointer('SSL_CIPHER_get_name', 2);
export const sslAlpn = bindVoid('SSL_get0_alpn_selected', 3);
export const sslServerName = bindPointer('SSL_get_servername', 2);
export const alertText = bindPointer('SSL_alert_desc_string_long', 2);
export const sslPeerCertificate = bindPointer('SSL_get0_peer_certificate', 2);
export const sslPeerChain = bindPointer('SSL_get_peer_cert_chain', 2);
export const sslVerifyResult = bindInt('SSL_get_verify_result', 2);

export const storeAdd = bindInt('X509_STORE_add_cert', 2);
export const storeAddCrl = bindInt('X509_STORE_add_crl', 2);
export const crlFree = bindVoid('X509_CRL_free', 2);
export const storeSetFlags = bindInt('X509_STORE_set_flags', 2);
export const verifyCertificate = bindInt('X509_verify_cert', 2);
export const verifyLeaf = bindPointer('X509_STORE_CTX_get0_cert', 2);
export const verifyUntrusted = bindPointer('X509_STORE_CTX_get0_untrusted', 2);
export const verifySetError = bindVoid('X509_STORE_CTX_set_error', 2);
export const verifyGetError = bindInt('X509_STORE_CTX_get_error', 2);
export const verifyErrorText = bindPointer('X509_verify_cert_error_string', 2);
export const x509Free = bindVoid('X509_free', 2);
export const x509ToDer = bindInt('i2d_X509', 2);
export const x509FromDer = bindPointer('d2i_X509', 3);
export const x509Subject = bindPointer('X509_get_subject_name', 2);
export const namePrint = bindInt('X509_NAME_print_ex', 4);
export const x509Key = bindPointer('X509_get0_pubkey', 2);
export const x509Verify = bindInt('X509_verify', 2);
export const x509CheckIssued = bindInt('X509_check_issued', 2);
export const keyId = bindInt('EVP_PKEY_get_id', 2);
export const keyBits = bindInt('EVP_PKEY_get_bits', 2);
export const keyGroupName = bindInt('EVP_PKEY_get_group_name', 4);
export const sha256 = bindPointer('SHA256', 3);
export const sha1 = bindPointer('SHA1', 3);
export const keyFree = bindVoid('EVP_PKEY_free', 2);
/** Frees what the key held before. */
export const keySetType = bindInt('EVP_PKEY_set_type', 2);
export const stackCount = bindInt('OPENSSL_sk_num', 2);
export const stackItem = bindPointer('OPENSSL_sk_value', 2);

export const cipherFetch = bindPointer('EVP_CIPHER_fetch', 3);
export const cipherContextNew = bindPointer('EVP_CIPHER_CTX_new', 2);
export const cipherContextFree = bindVoid('EVP_CIPHER_CTX_free', 2);
export const cipherContextCtrl = bindInt('EVP_CIPHER_CTX_ctrl', 4);
export const encryptInit = bindInt('EVP_EncryptInit_ex', 5);
export const encryptUpdate = bindInt('EVP_EncryptUpdate', 5);
export const encryptFinal = bindInt('EVP_EncryptFinal_ex', 3);
export const decryptInit = bindInt('EVP_DecryptInit_ex', 5);
export const decryptUpdate = bindInt('EVP_DecryptUpdate', 5);
export const decryptFinal = bindInt('EVP_DecryptFinal_ex', 3);
export const mdSha256 = bindPointer('EVP_sha256', 2);
export const mdSha384 = bindPointer('EVP_sha384', 2);
export const hmac = bindPointer('HMAC', 7);

export const bioNew = bindPointer('BIO_new', 2);
export const bioMemory = bindPointer('BIO_s_mem', 2);
export const bioOf = bindPointer('BIO_new_mem_buf', 2);
export const bioFree = bindInt('BIO_free', 2);
export const bioRead = bindInt('BIO_read', 3);
export const bioWrite = bindInt('BIO_write', 3);
export const pemReadX509 = bindPointer('PEM_read_bio_X509', 4);
export const pemReadCrl = bindPointer('PEM_read_bio_X509_CRL', 4);
export const pemReadKey = bindPointer('PEM_read_bio_PrivateKey', 4);
export const errorGet = bindPointer('ERR_get_error', 2);
export const errorClear = bindVoid('ERR_clear_error', 2);
export const errorText = bindVoid('ERR_error_string_n', 3);

/** May run our callbacks, hence the slow form. */
export const sslHandshake = bindReentrant('SSL_do_handshake');
export { callback };

export const sslErrors = { ssl: 1, wantRead: 2, wantWrite: 3, syscall: 5, zeroReturn: 6 } as const;

/** SSL_CTX_ctrl and SSL_ctrl commands behind OpenSSL's macros. */
export const ctrl = {
  mode: 33n,
  readAhead: 41n,
  sessionCacheMode: 44n,
  hostname: 55n,
  chainCertificate: 89n,
  groupsList: 92n,
  peerTmpKey: 109n,
  minVersion: 123n,
  maxVersion: 124n,
  tmpKey: 133n,
} as const;

/** -1 as a C int argument. */
const minusOne = 0xffffffffn;

/** SSL_get_error for the result of the call just made. */
export function errorOf(ssl: bigint, result: number): number {
  return sslError(ssl, result === 0 ? 0n : minusOne);
}

const text = Buffer.alloc(256);
const textAddress = addressOf(text);

/** Takes this thread's OpenSSL errors off the queue: the last one's reason and number, or '' when there is none. */
export function takeError(): { readonly code: number; readonly reason: string } {
  let last = 0n;
  for (let e = errorGet(0n, 0n); e !== 0n; e = errorGet(0n, 0n)) last = e;
  if (last === 0n) return { code: 0, reason: '' };
  errorText(last, textAddress, 256n);
  const whole = text.toString('latin1', 0, text.indexOf(0));
  return { code: Number(last & 0x7fffffn), reason: whole.split(':').slice(4).join(':') || whole };
}

/** Reasons we tell apart (low 23 bits of the error). */
export const reasons = { peerDidNotReturnCertificate: 199, unexpectedEof: 294, certificateVerifyFailed: 134 } as const;
