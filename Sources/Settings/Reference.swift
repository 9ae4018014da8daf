// SPDX-License-Identifier: Apache-2.0
//
// Reference.swift
// Renders the catalogue: the reference page and a sample file.

/// Documents made from the catalogue.
public enum Reference {
    /// docs/reference/configuration.md.
    public static func markdown() -> String {
        var text = introduction
        for section in Catalogue.sections {
            text += "\n## \(section.name)\n\n\(section.doc)\n\n"
            text += "| Key | Type | Default | Takes effect | What it does |\n|---|---|---|---|---|\n"
            for definition in Catalogue.all where definition.section == section.name {
                let name = "`\(definition.name)`"
                let shown = definition.importance == .high ? "**\(name)**" : name
                text += "| \(shown) | \(definition.type.description) | \(code(definition.defaultText)) "
                text += "| \(definition.reload.rawValue) | \(definition.doc) |\n"
            }
        }
        text += topicIntroduction
        text += "| Name | Type | Default | Effect | What it does |\n|---|---|---|---|---|\n"
        for entry in TopicConfigurationCatalogue.effective(overrides: [:], defaults: .default) {
            let definition = entry.definition
            text += "| `\(definition.name)` | \(definition.type) | \(code(entry.value)) "
            text += "| \(definition.hasEffect ? "yes" : "none") | \(definition.doc) |\n"
        }
        text += groupIntroduction
        text += "| Name | Value | Default | What it does |\n|---|---|---|---|\n"
        for entry in GroupConfigurationCatalogue.effective(overrides: [:], settings: .defaults) {
            let definition = entry.definition
            text += "| `\(definition.name)` | \(definition.bounds) | `\(definition.setting)`, \(code(entry.value)) "
            text += "| \(definition.doc) |\n"
        }
        return text
    }

    /// A configuration file with every key at its default, all of it commented out.
    public static func sampleFile() -> String {
        var text = "# Goulette configuration. Every line is a default; remove the # to change it.\n"
        for section in Catalogue.sections {
            text += "\n# \(section.doc)\n#\(section.name):\n"
            for definition in Catalogue.all where definition.section == section.name {
                text += "  # \(definition.doc)\n"
                let value = definition.defaultText.isEmpty ? "\"\"" : quoted(definition.defaultText)
                text += "  #\(definition.key): \(value)\n"
            }
        }
        return text
    }

    private static func code(_ text: String) -> String { text.isEmpty ? "" : "`\(text)`" }

    /// Words that YAML would take for something else are quoted.
    private static func quoted(_ text: String) -> String {
        text.contains("*") || text.contains("#") ? "\"\(text)\"" : text
    }

    private static let introduction = """
        # Configuration

        <!-- Made from the catalogue in Sources/Settings. Change it there and run the tests with REWRITE=1. -->

        A broker needs no configuration. What differs from the defaults stands in a YAML file, in files beside it, in
        environment variables or on the command line; the later of these wins. A key that does not exist is an error, with its
        line and a suggestion.

        ```yaml
        node:
          id: 1
        listeners:
          kafka: "*:9092"
          advertised: broker1.example.com:9092
        storage:
          directory: /var/lib/goulette
          read_cache_bytes: 256 MiB
        ```

        - Beside the file: `conf.d/*.yaml` in the same directory, in the order of their names, each on top of those before.
        - Environment: `GOULETTE_STORAGE__DIRECTORY` sets `storage.directory`; two underscores stand for the dot. With `_FILE`
          at its end the variable names a file with the value: `GOULETTE_NODE__RACK_FILE=/run/secrets/rack`.
        - Sizes are written with a unit: `64 MiB`, `1 GiB`, `10 GB`. Times too: `250us`, `1ms`, `30s`, `5m`, `12h`, `7d`.
        - Keys in **bold** are worth a look before going live.
        - "Takes effect: live" means that a running broker takes the value over when it gets SIGHUP: it reads all places again,
          except its own environment and command line, which cannot change, and logs what changed and what waits for a restart.
          A configuration with a problem changes nothing; the problem is logged.

        """

    private static let groupIntroduction = """

        ## Group configurations

        These have Kafka's names and are set per consumer group or share group by any Kafka client (resource type GROUP). The
        group need not exist. What a group does not set is that of the broker's setting. A heartbeat interval must be below the
        session timeout.


        """

    private static let topicIntroduction = """

        ## Topic configurations

        These have Kafka's names and are set per topic by any Kafka client. Values that a topic does not set come from the
        section `topics`. Those without effect are kept and returned, because tools set them.


        """
}
