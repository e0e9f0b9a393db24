package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// errConfig is returned for a configuration file that cannot be used.
var errConfig = errors.New("bad configuration file")

// settings are the values of a command's flags, from wherever they come.
type settings struct{ v *viper.Viper }

// load reads the settings of the command: its flags, GOVN_* and --config.
func load(c *cobra.Command) (*settings, error) {
	v := viper.New()
	v.SetEnvPrefix("GOVN")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	if err := v.BindPFlags(c.Flags()); err != nil {
		return nil, err
	}
	if file := v.GetString("config"); file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			return nil, fmt.Errorf("%w %q: %w", errConfig, file, err)
		}
		for key := range v.AllSettings() {
			if !known(c.Root(), key) {
				return nil, fmt.Errorf("%w %q: unknown key %q", errConfig, file, key)
			}
		}
	}
	if err := checkBooleans(c, v); err != nil {
		return nil, err
	}
	return &settings{v: v}, nil
}

// errBoolean is returned for a value of the environment or file that is neither
// true nor false; viper takes it for false.
var errBoolean = errors.New("is neither true nor false")

func checkBooleans(c *cobra.Command, v *viper.Viper) (err error) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Value.Type() != "bool" {
			return
		}
		if text := fmt.Sprint(v.Get(f.Name)); err == nil {
			if _, e := strconv.ParseBool(text); e != nil {
				err = fmt.Errorf("%s: %q %w", f.Name, text, errBoolean)
			}
		}
	})
	return err
}

// known reports whether any command below c has the flag.
func known(c *cobra.Command, flag string) bool {
	if c.LocalFlags().Lookup(flag) != nil {
		return true
	}
	for _, sub := range c.Commands() {
		if known(sub, flag) {
			return true
		}
	}
	return false
}

func (s *settings) str(key string) string { return s.v.GetString(key) }

func (s *settings) boolean(key string) bool { return s.v.GetBool(key) }

// list is a value with commas between its elements; a YAML list is one too.
func (s *settings) list(key string) ([]string, error) {
	var words []string
	switch x := s.v.Get(key).(type) {
	case string:
		words = []string{x}
	case []string:
		words = x
	case []any:
		for _, w := range x {
			word, ok := w.(string)
			if !ok {
				return nil, fmt.Errorf("%s: %v is not a string", key, w)
			}
			words = append(words, word)
		}
	default:
		return nil, fmt.Errorf("%s: %v is not a list", key, x)
	}
	var out []string
	for _, word := range words {
		for w := range strings.SplitSeq(word, ",") {
			if w = strings.TrimSpace(w); w != "" {
				out = append(out, w)
			}
		}
	}
	return out, nil
}
