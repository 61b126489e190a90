"""Android: signed folders of models for the app, reports and logs that come back from phones."""
