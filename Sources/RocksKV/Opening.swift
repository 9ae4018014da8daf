// SPDX-License-Identifier: Apache-2.0
//
// Opening.swift
// The steps of opening a database: find out what is there, open it, create what is missing.

internal import CRocksDB

/// One attempt to open a database.
struct Opening {
    let path: String
    let mode: Database.Mode
    /// Names of the column families, without `default`.
    let names: [String]

    /// The C handles of an open database: the families in order, then `default`.
    struct Opened {
        let database: OpaquePointer
        let families: [OpaquePointer]
    }

    func run(_ options: borrowing OptionHandles) throws(RocksError) -> Opened {
        switch mode {
        case .readOnly, .secondary:
            return try open(options, with: names)
        case .readWrite(let createIfMissing):
            let existing: Set<String>
            do {
                existing = Set(try Self.listFamilies(at: path, options.database))
            } catch .missing where createIfMissing {
                existing = []
                rocksdb_options_set_create_if_missing(options.database, 1)
            }
            let missing = existing.isEmpty ? names : names.filter { !existing.contains($0) }
            guard missing.isEmpty || createIfMissing else {
                throw .invalid("opening \(path): column families \(missing.joined(separator: ", ")) do not exist")
            }
            // Opening what exists and creating the rest in one step writes the options file once; leaving the creation to
            // RocksDB would write and sync it once per family.
            let opened = try open(options, with: names.filter { !missing.contains($0) })
            return missing.isEmpty ? opened : try create(missing, in: opened, options)
        }
    }

    /// The column families of the database at `path`, with `default`.
    static func listFamilies(at path: String, _ options: OpaquePointer) throws(RocksError) -> [String] {
        var count = 0
        var list: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        // Allocated even when the call fails.
        defer { if let list { rocksdb_list_column_families_destroy(list, count) } }
        do {
            try check("reading \(path)") { list = rocksdb_list_column_families(options, path, &count, $0) }
        } catch .io(let detail) where detail.contains("No such file or directory") || detail.contains("NotFound") {
            throw .missing(detail)
        }
        guard let list else { return [] }
        return (0..<count).compactMap { list[$0].map { String(cString: $0) } }
    }

    /// Opens the database with `default` and the families called `present`.
    private func open(_ options: borrowing OptionHandles, with present: [String]) throws(RocksError) -> Opened {
        let all = present + ["default"]
        var handles = [OpaquePointer?](repeating: nil, count: all.count)
        let familyOptions: [OpaquePointer?] =
            present.map { name in names.firstIndex(of: name).map { options.families[$0] } } + [options.database]
        let database = options.database
        let opened = try check("opening \(path)") { error in
            withCStrings(all) { names in
                switch mode {
                case .readWrite:
                    rocksdb_open_column_families(
                        database, path, Int32(all.count), names, familyOptions, &handles, error)
                case .readOnly:
                    rocksdb_open_for_read_only_column_families(
                        database, path, Int32(all.count), names, familyOptions, &handles, 0, error)
                case .secondary(let folder):
                    rocksdb_open_as_secondary_column_families(
                        database, path, folder, Int32(all.count), names, familyOptions, &handles, error)
                }
            }
        }
        guard let opened else { throw .failed("opening \(path): no handle") }
        return Opened(database: opened, families: handles.compactMap(\.self))
    }

    /// Creates the families called `missing` and puts all handles into the order of `names`; closes on failure.
    private func create(
        _ missing: [String], in opened: Opened, _ options: borrowing OptionHandles
    ) throws(RocksError) -> Opened {
        var created = [OpaquePointer?](repeating: nil, count: missing.count)
        let familyOptions: [OpaquePointer?] = missing.map { name in
            names.firstIndex(of: name).map { options.families[$0] }
        }
        do {
            try check("creating column families in \(path)") { error in
                withCStrings(missing) {
                    crocksdb_create_families(opened.database, familyOptions, $0, missing.count, &created, error)
                }
            }
        } catch {
            for family in opened.families { rocksdb_column_family_handle_destroy(family) }
            rocksdb_close(opened.database)
            throw error
        }
        let present = names.filter { !missing.contains($0) }
        var byName: [String: OpaquePointer] = [:]
        for (name, family) in zip(missing, created) { byName[name] = family }
        for (name, family) in zip(present + ["default"], opened.families) { byName[name] = family }
        return Opened(database: opened.database, families: (names + ["default"]).compactMap { byName[$0] })
    }
}

/// Calls `body` with the addresses of `strings` as C strings, which live as long as the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    var text: [CChar] = []
    var starts: [Int] = []
    for string in strings {
        starts.append(text.count)
        text.append(contentsOf: string.utf8CString)
    }
    return text.withUnsafeBufferPointer { characters in
        let pointers = starts.map { start in characters.baseAddress.map { $0 + start } }
        return pointers.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { preconditionFailure("a database has at least one family") }
            return body(base)
        }
    }
}
