"""The Python behind ./duel. Start reading at cli.py; measure.py is the heart."""
