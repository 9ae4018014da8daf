// SPDX-License-Identifier: Apache-2.0
//
// SettingsLoader.swift
// Puts the layers on top of each other: default, file, drop-in files, environment, command line.

import Foundation

/// Reads configuration from all its places.
public enum SettingsLoader {
    /// One value in one layer, before it is parsed.
    struct RawValue: Sendable {
        let key: String
        let text: String
        let origin: SettingOrigin
    }

    /// The directory beside the configuration file whose `*.yaml` files are put on top of it, in the order of their names.
    public static let dropInDirectory = "conf.d"

    /// Reads the file at `path`, when there is one, with its drop-in files, and puts the other layers on them.
    ///
    /// `commandLine` holds keys by their full name (`storage.directory`) with their text.
    public static func load(
        path: String?, environment: [String: String] = [:], commandLine: [(key: String, value: String)] = []
    ) throws(SettingsError) -> ResolvedSettings {
        var files: [(path: String, text: String)] = []
        for path in try path.map(withDropIns) ?? [] {
            do {
                files.append((path, try SettingsFile.text(path)))
            } catch {
                throw .unreadable(path: path, reason: error.localizedDescription)
            }
        }
        return try resolve(files: files, environment: environment, commandLine: commandLine)
    }

    /// Puts the layers together; `files` are names, for messages, and texts, of which the later count.
    public static func resolve(
        files: [(path: String, text: String)], environment: [String: String] = [:],
        commandLine: [(key: String, value: String)] = []
    ) throws(SettingsError) -> ResolvedSettings {
        var problems: [SettingsProblem] = []
        var raw: [RawValue] = []
        for file in files { raw += SettingsFile.values(path: file.path, text: file.text, problems: &problems) }
        raw += SettingsEnvironment.values(environment, problems: &problems)
        raw += commandLine.map {
            RawValue(key: $0.key, text: $0.value, origin: .commandLine(option: $0.key))
        }
        var settings = ResolvedSettings.defaults
        for value in raw {
            guard let definition = Catalogue.definition(value.key) else {
                problems.append(.init(origin: value.origin, message: unknown(value.key)))
                continue
            }
            do throws(SettingValueError) {
                let parsed = try definition.type.parse(value.text)
                settings.set(definition, .init(value: parsed, text: value.text, origin: value.origin))
            } catch {
                let message = "\(definition.name): \"\(value.text)\" \(error.reason)"
                problems.append(.init(origin: value.origin, message: message))
            }
        }
        if problems.isEmpty { problems = settings.contradictions() }
        guard problems.isEmpty else { throw .problems(problems) }
        return settings
    }

    /// The sentence for a key that does not exist.
    static func unknown(_ key: String) -> String {
        let names = Catalogue.all.map(\.name)
        if Catalogue.sections.contains(where: { $0.name == key }) {
            return "\(key) is a section; its keys stand below it, indented"
        }
        let inSection = Spelling.nearest(to: key, among: names)
        let elsewhere = Catalogue.all.first { $0.key == key.split(separator: ".").last.map(String.init) }?.name
        guard let suggestion = inSection ?? elsewhere else { return "unknown key \(key)" }
        return "unknown key \(key); did you mean \(suggestion)?"
    }

    /// The file at `path`, and those in ``dropInDirectory`` beside it.
    private static func withDropIns(_ path: String) throws(SettingsError) -> [String] {
        let directory = URL(filePath: path).deletingLastPathComponent().appending(path: dropInDirectory).path
        guard FileManager.default.fileExists(atPath: directory) else { return [path] }
        do {
            let names = try FileManager.default.contentsOfDirectory(atPath: directory)
            return [path] + names.filter { $0.hasSuffix(".yaml") }.sorted().map { "\(directory)/\($0)" }
        } catch {
            throw .unreadable(path: directory, reason: error.localizedDescription)
        }
    }
}
