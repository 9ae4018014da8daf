// SPDX-License-Identifier: Apache-2.0
//
// RocksError.swift
// What RocksDB reports, as one typed error. The only place that reads and frees the C error string.

internal import CRocksDB

/// Why an operation on a database failed.
///
/// The detail names what was attempted, on what, and what RocksDB said.
public enum RocksError: Error, Hashable, Sendable {
    /// The database was closed before or while the operation started; nothing was done.
    case closed
    /// Another process, or another `Database` of this process, has the directory open for writing.
    case locked(String)
    /// There is no database where one was to be opened.
    case missing(String)
    /// The database was opened for reading only.
    case readOnly
    /// The disk is full. When it was found by a write, writes are refused from then on, and reads go on.
    case diskFull(String)
    /// Stored bytes fail their checksum, or files are missing: the data can not be trusted.
    case corrupt(String)
    /// The operating system refused a read, write or sync.
    case io(String)
    /// The call contradicts the database: unknown column families, options that exclude each other.
    case invalid(String)
    /// Anything else, among it states that pass by themselves.
    case failed(String)
}

extension RocksError: CustomStringConvertible {
    /// A sentence for the operator.
    public var description: String {
        switch self {
        case .closed: "The index database is closed"
        case .locked(let detail): "The index database is in use by another process or another open handle: \(detail)"
        case .missing(let detail): "There is no index database: \(detail)"
        case .readOnly: "The index database is open for reading only"
        case .diskFull(let detail): "The disk of the index database is full: \(detail)"
        case .corrupt(let detail): "The index database is damaged: \(detail)"
        case .io(let detail): "The index database can not be read or written: \(detail)"
        case .invalid(let detail): "The index database refused the request: \(detail)"
        case .failed(let detail): "The index database failed: \(detail)"
        }
    }
}

extension RocksError {
    /// Sorts a message of RocksDB by the status name it begins with.
    init(message: String, during operation: String) {
        let detail = "\(operation): \(message)"
        if message.hasPrefix("IO error") {
            if message.contains("/LOCK: ") || message.contains("lock hold by current process") {
                self = .locked(detail)
            } else if message.hasPrefix("IO error: No space left on device") {
                self = .diskFull(detail)
            } else {
                self = .io(detail)
            }
        } else if message.hasPrefix("Corruption") {
            self = .corrupt(detail)
        } else if message.hasPrefix("Invalid argument") {
            self = message.contains("does not exist (create_if_missing is false)") ? .missing(detail) : .invalid(detail)
        } else {
            self = .failed(detail)
        }
    }
}

/// Runs one C call and throws what it stored as its error.
///
/// The message is copied and freed here, exactly once, whatever `body` did.
@inline(__always)
func check<Result>(
    _ operation: @autoclosure () -> String,
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) throws(RocksError) -> Result {
    var message: UnsafeMutablePointer<CChar>?
    let result = body(&message)
    if let message {
        defer { rocksdb_free(message) }
        throw RocksError(message: String(cString: message), during: operation())
    }
    return result
}

/// Calls `body` with the address and length of `bytes` as the C interface wants them; never with a null address.
@inline(__always)
func withCharacters<Result>(_ bytes: RawSpan, _ body: (UnsafePointer<CChar>, Int) -> Result) -> Result {
    bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress else { return body(crocksdb_empty_bytes(), 0) }
        return body(base.assumingMemoryBound(to: CChar.self), buffer.count)
    }
}
