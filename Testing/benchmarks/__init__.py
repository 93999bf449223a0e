"""How fast, as ratios measured in the same run: python -m Testing.benchmarks --help"""
